"""Agent and AsyncAgent: a configuration, and the sessions opened with it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from a3s_code.api.assembly import build_session
from a3s_code.api.async_session import AsyncAgentSession
from a3s_code.api.keeping import reopened_options
from a3s_code.api.models import Models
from a3s_code.api.options import SessionFields, SessionOptions
from a3s_code.api.portal import portal
from a3s_code.api.results import SessionRecord
from a3s_code.api.session import AgentSession
from a3s_code.api.storage import Storage, claim_and_recall
from a3s_code.api.vouching import load_vouched, open_workspace, survey_workspace, trust_store
from a3s_code.config.schema import Config
from a3s_code.errors import InvalidOption, SessionClosed
from a3s_code.kernel.store import SessionStore

if TYPE_CHECKING:
    from typing import Unpack

Source = str | os.PathLike[str] | None


class AsyncAgent:
    """A configuration, loaded and checked, that opens sessions. For use inside an event loop.

    A context manager; closing it closes its sessions. Awaiting it gives itself.
    """

    def __init__(self, config: Config, trusted: Callable[[], Config] | None = None) -> None:
        self._models = Models(config)
        self._models.warm()
        self._storage = Storage(config)
        self._trusted = trusted
        self._sessions: weakref.WeakSet[AsyncAgentSession] = weakref.WeakSet()
        self._closed = False

    def __await__(self) -> Generator[Any, None, Self]:
        yield from ()
        return self

    @classmethod
    def create(cls, source: Source = None, **overrides: Any) -> Self:
        """Load a configuration: a path to an .acl file, ACL text, or nothing.

        With nothing, $A3S_CONFIG, ./agent.acl and ~/.a3s/agent.acl are tried in this order. `overrides` are top-level
        configuration keys in snake_case, and win. Raises ConfigError. A missing API key is found out at the first
        model call.

        Of an ./agent.acl that nobody named only what restricts holds, and no address to send to, until it is trusted;
        a warning tells so.
        """
        return cls(load_vouched(source, overrides), lambda: load_vouched(source, overrides))

    @property
    def config(self) -> Config:
        return self._models.config

    def session(
        self,
        workspace: str | os.PathLike[str],
        options: SessionOptions | None = None,
        **fields: Unpack[SessionFields],
    ) -> AsyncAgentSession:
        """Open a session in a folder. Keywords are fields of SessionOptions and win over `options`.

        Raises WorkspaceError and InvalidOption before anything is sent.
        """
        given = self._given(options, fields)
        session = build_session(self._models, workspace, given, self._storage.store_for(given))
        self._sessions.add(session)
        return session

    async def resume_session(
        self, stored_id: str, /, options: SessionOptions | None = None, **fields: Unpack[SessionFields]
    ) -> AsyncAgentSession:
        """Open a stored session again: its history, runs, files, outputs, open questions and options.

        Options given here win over the stored ones; functions and objects (tools, hooks, on_confirm ...) are not stored
        and have to be given again. A run that was going on when its process ended is "interrupted": resume_run() goes
        on with it. Raises UnknownSession, SessionInUse, StoreError.
        """
        given = self._given(options, fields)
        store, recalled = await claim_and_recall(self._storage.store_for(given), stored_id)
        try:
            wanted = reopened_options(recalled.header, given)
            session = build_session(self._models, recalled.workspace, wanted, store, recalled)
        except BaseException:
            await store.release(stored_id)
            raise
        self._sessions.add(session)
        return session

    async def sessions(self, store: SessionStore | None = None) -> list[SessionRecord]:
        """All stored sessions: those of `store`, else of the configured store and of those this agent has used."""
        return await self._storage.sessions(store)

    def _given(self, options: SessionOptions | None, fields: SessionFields) -> SessionOptions:
        if self._closed:
            raise SessionClosed("the agent is closed", hint="make a new one with Agent.create()")
        if options is not None and not isinstance(options, SessionOptions):
            raise InvalidOption(f"options is {type(options).__name__}, not SessionOptions", field="options")
        return (options or SessionOptions()).merged(**fields)

    def trust(self, path: str | os.PathLike[str]) -> tuple[str, ...]:
        """Trust the configuration that a workspace brings, as it is now; gives the files it consists of.

        Holds for this user until a byte of it changes. Sessions opened from here on see it. Raises WorkspaceError.
        """
        found = survey_workspace(open_workspace(path))
        trust_store().trust(found)
        if self._trusted is not None:
            self._models = Models(self._trusted())
        return found.files

    async def close(self) -> None:
        """Close all sessions of this agent. Closing twice does nothing."""
        self._closed = True
        for session in list(self._sessions):
            await session.close()
        await self._storage.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Agent:
    """A configuration, loaded and checked, that opens sessions. Blocks; works anywhere, notebooks included.

    A context manager; closing it closes its sessions.
    """

    def __init__(self, agent: AsyncAgent) -> None:
        self._agent = agent

    @classmethod
    def create(cls, source: Source = None, **overrides: Any) -> Self:
        """Load a configuration: a path to an .acl file, ACL text, or nothing.

        With nothing, $A3S_CONFIG, ./agent.acl and ~/.a3s/agent.acl are tried in this order. `overrides` are top-level
        configuration keys in snake_case, and win. Raises ConfigError. A missing API key is found out at the first
        model call.

        Of an ./agent.acl that nobody named only what restricts holds, and no address to send to, until it is trusted;
        a warning tells so.
        """
        return cls(AsyncAgent.create(source, **overrides))

    @property
    def config(self) -> Config:
        return self._agent.config

    def session(
        self,
        workspace: str | os.PathLike[str],
        options: SessionOptions | None = None,
        **fields: Unpack[SessionFields],
    ) -> AgentSession:
        """Open a session in a folder. Keywords are fields of SessionOptions and win over `options`.

        Raises WorkspaceError and InvalidOption before anything is sent.
        """
        session = self._agent.session(workspace, options, **fields)
        if session.stored:
            portal().call(session.open)
        return AgentSession(session)

    def resume_session(
        self, stored_id: str, /, options: SessionOptions | None = None, **fields: Unpack[SessionFields]
    ) -> AgentSession:
        """Open a stored session again: its history, runs, files, outputs, open questions and options.

        Options given here win over the stored ones; functions and objects (tools, hooks, on_confirm ...) are not stored
        and have to be given again. A run that was going on when its process ended is "interrupted": resume_run() goes
        on with it. Raises UnknownSession, SessionInUse, StoreError.
        """
        return AgentSession(portal().call(lambda: self._agent.resume_session(stored_id, options, **fields)))

    def sessions(self, store: SessionStore | None = None) -> list[SessionRecord]:
        """All stored sessions: those of `store`, else of the configured store and of those this agent has used."""
        return portal().call(lambda: self._agent.sessions(store))

    def trust(self, path: str | os.PathLike[str]) -> tuple[str, ...]:
        """Trust the configuration that a workspace brings, as it is now; gives the files it consists of.

        Holds for this user until a byte of it changes. Sessions opened from here on see it. Raises WorkspaceError.
        """
        return self._agent.trust(path)

    def close(self) -> None:
        """Close all sessions of this agent. Closing twice does nothing."""
        portal().call(self._agent.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
