"""The operating system behind small interfaces: paths, files, processes, searches, the environment, the clock."""
