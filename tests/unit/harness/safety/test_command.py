"""Shell text split into simple commands."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from a3s_code.harness.safety.command import split
from a3s_code.harness.safety.shell import read_command


def texts(command: str) -> list[str]:
    return [" ".join(word.text for word in part.words) for part in split(command).parts]


EXACT = [
    ("ls -la", ["ls -la"]),
    ("a;b&&c||d|e&f\ng", ["a", "b", "c", "d", "e", "f", "g"]),
    ("a ;b", ["a", "b"]),
    ("a &", ["a"]),
    ("a & b &", ["a", "b"]),
    ("a |& b", ["a", "b"]),
    ("a &&\n\n# it's\nb", ["a", "b"]),
    ("a |\nb", ["a", "b"]),
    ("a \\\n && b", ["a", "b"]),
    ("\n\n a \n", ["a"]),
    ("a 'x;y' \"p&&q\" r\\|s", ["a x;y p&&q r|s"]),
    ("r''m \"-r\"f \\\n build", ["rm -rf build"]),
    ("r\\\nm x\\\ny", ["rm xy"]),
    ("echo a#b # ; rm\nls", ["echo a#b", "ls"]),
    ("echo # a \\\nrm", ["echo", "rm"]),
    ("#a\n#b\nc", ["c"]),
    ("a;#b\nc", ["a", "c"]),
    ("$'\\x72\\155' $\"x\"", ["rm x"]),
    ("$'a\\'b' c", ["a'b c"]),
    ("$'\\u0041\\tb\\\\' $'\\ca'", ["A\tb\\ \0"]),
    ("echo 'a\\' ; rm ; echo 'b'", ["echo a\\", "rm", "echo b"]),
    ('echo "a \\" ; rm \\" b"', ['echo a " ; rm " b']),
    ('a "b\\\nc" "\\d" "\\$e"', ["a bc \\d $e"]),
    ("a\\ b", ["a b"]),
    ("a \\ b", ["a  b"]),
    ("a\\;b", ["a;b"]),
    ("find . -exec rm {} \\;", ["find . -exec rm {} ;"]),
    ("a $", ["a $"]),
    ('a "$"', ["a $"]),
    ("a if then fi }", ["a if then fi }"]),
    ("a done; b esac", ["a done", "b esac"]),
    ("a == b = ! c [ d ]", ["a == b = ! c [ d ]"]),
    ("'if' a", ["if a"]),
    ("X=1 if a", ["if a"]),
    (">f if a", ["if a"]),
    ("ifx a", ["ifx a"]),
    ("{a b}", ["{a b}"]),
    ("(a; (b))", ["a", "b"]),
    ("(a)", ["a"]),
    ("( (a); b )", ["a", "b"]),
    ("{ a; }", ["a"]),
    ("{ a & }", ["a"]),
    ("{ { a; } }", ["a"]),
    ("{ (a) }", ["a"]),
    ("{ a; } && (b) || { c; } | d", ["a", "b", "c", "d"]),
    ("! a", ["a"]),
    ("! ! a | ! b", ["a", "b"]),
    ("! (a)", ["a"]),
    ("time a", ["time a"]),
    ("time -p a b", ["time -p a b"]),
    ("time { a; }", ["a"]),
    ("time -p (a; b)", ["a", "b"]),
    ("time ! a", ["a"]),
    ("time if a; then b; fi", ["a", "b"]),
    ("time X=1 a", ["time a"]),
    ("a | time b", ["a", "time b"]),
    ("time", ["time"]),
    ("if a; then rm y; fi", ["a", "rm y"]),
    ("if a\nthen b\nelif c\nthen d\nelse e\nfi", ["a", "b", "c", "d", "e"]),
    ("if (a) then (b) fi", ["a", "b"]),
    ("if ! a && b; then c & fi", ["a", "b", "c"]),
    ("if { a; } then b; fi", ["a", "b"]),
    ("if a; then if b; then c; fi fi", ["a", "b", "c"]),
    ("while a; do b; done", ["a", "b"]),
    ("while a\ndo b; c\ndone | d", ["a", "b", "c", "d"]),
    ("until a; b; do c; done &", ["a", "b", "c"]),
    ("while :; do a; break; done < f", [":", "a", "break", ""]),
    ("for x in a b; do c; done", ["c"]),
    ("for x in a $(b)\ndo c\ndone", ["b", "c"]),
    ("for x; do c; done", ["c"]),
    ("for x do c; done", ["c"]),
    ("for x in; do c; done", ["c"]),
    ("for x\nin a\ndo c; done", ["c"]),
    ("for in in in; do c; done", ["c"]),
    ("for do in do; do c; done", ["c"]),
    ("for ((i=0;i<3;i++)); do c; done", ["c"]),
    ("for ((;;)) do c; done", ["c"]),
    ("for ((;;)) { c; }", ["c"]),
    ("for ((i=$(a);;)); do c; done", ["a", "c"]),
    ("select x in a b; do c; done", ["c"]),
    ("case x in a) b;; (c) d;; esac", ["b", "d"]),
    ("case x in esac", []),
    ("case $(a) in b|$(c)) d;; esac", ["a", "c", "d"]),
    ("case x in\n a )\n b\n;;\n *) c\nesac", ["b", "c"]),
    ("case x in a) b;& c) d;;& *) e; esac", ["b", "d", "e"]),
    ("case x in a) ;; b) c; esac", ["c"]),
    ("case x in (if) a;; 'esac') b;; esac", ["a", "b"]),
    ("case x in a) case y in b) c;; esac;; d) e;; esac", ["c", "e"]),
    ("case x in a) b & ;; esac; c", ["b", "c"]),
    ("case in in in) a;; esac", ["a"]),
    ('case x in "a b") c;; a\\ b) d;; [a-z]*) e;; esac', ["c", "d", "e"]),
    ("case x in @(a|b)) c;; esac", ["c"]),
    ("f() { a; }", ["a"]),
    ("f () { a; }; f x", ["a", "f x"]),
    ("f()\n{\na\n}\nb", ["a", "b"]),
    ("f() (a)", ["a"]),
    ("f() { a; } >g; b", ["a", "", "b"]),
    ("function f { a; }", ["a"]),
    ("function f() { a; }", ["a"]),
    ("function f (a)", ["a"]),
    ("f() if a; then b; fi", ["a", "b"]),
    ("f() { g() { a; }; g; }; f", ["a", "g", "f"]),
    ("a && f() { b; }; c", ["a", "b", "c"]),
    ("a $(b $(c)) `d`", ["c", "b $()", "d", "a $() $()"]),
    ('a "x $(b) y"', ["b", "a x $() y"]),
    ('a "$(b "c $(d "e")")"', ["d e", "b c $()", "a $()"]),
    ("a $(b # )\n)", ["b", "a $()"]),
    ("a $(case x in y) b;; esac)", ["b", "a $()"]),
    ("a $(case x in (y) b;; esac) c", ["b", "a $() c"]),
    ("a $(b 'c)' \")\")", ["b c) )", "a $()"]),
    ("a $( (b) )", ["b", "a $()"]),
    ("a $(b;)", ["b", "a $()"]),
    ("a `b \\`c\\``", ["c", "b $()", "a $()"]),
    ("a `b \\\\\\`c\\\\\\``", ["b `c`", "a $()"]),
    ('a "`b \\"c d\\"`"', ["b c d", "a $()"]),
    ("a `b 'c' \"d\"`", ["b c d", "a $()"]),
    ("a <(b) >(c)", ["b", "c", "a $() $()"]),
    ("a x<(b)", ["b", "a x$()"]),
    ("a < <(b)", ["b", "a"]),
    ("< <(b) a", ["b", "a"]),
    ("a <<<$(b)", ["b", "a"]),
    ('a > "$(b)"', ["b", "a"]),
    ("X=1 Y='2 3' a", ["a"]),
    ("X=$(a) b", ["a", "b"]),
    ("X=$(a)", ["a", ""]),
    ("X=`a` Y=$(b)", ["a", "b", ""]),
    ("x=(a $(b) 'c d')", ["b", ""]),
    ("x=(\n$(a) # )'\n`b`\n)\nc", ["a", "b", "", "c"]),
    ("x+=($(a)); b", ["a", "", "b"]),
    ("x[1]=$(a) b", ["a", "b"]),
    ("x[$(a)]=1", ["a", ""]),
    ("declare -a x=($(a))", ["a", "declare -a x=($(a))"]),
    ("export A=$(a) B", ["a", "export A=$() B"]),
    ("a ${x:-$(b)}", ["b", "a ${x:-$(b)}"]),
    ('a "${x:-$(b)}"', ["b", "a ${x:-$(b)}"]),
    ('a "${x:-"$(b)"}"', ["b", 'a ${x:-"$(b)"}']),
    ("a ${x:-'$(b)'}", ["a ${x:-'$(b)'}"]),
    ("a ${x//$(b)/`c`}", ["b", "c", "a ${x//$(b)/`c`}"]),
    ("a ${x:-${y:-$(b)}}", ["b", "a ${x:-${y:-$(b)}}"]),
    ("a ${x:-b c;d}", ["a ${x:-b c;d}"]),
    ("a ${#x} ${x%.y} ${x##*/} ${x:1:2} ${x[@]} ${!x[@]} ${x^^}", None),
    ("a $((1+2)) $[3]", ["a $(()) $[]"]),
    ("a $((1<<2)); b", ["a $(())", "b"]),
    ("a $((1 + $(b)))", ["b", "a $(())"]),
    ("((1 > 2)) && a", ["a"]),
    ("((x = $(a))); b", ["a", "b"]),
    ("[[ -f x ]] && a", ["a"]),
    ("[[ a =~ (b|c)* && -n $(d) ]] || e", ["d", "e"]),
    ("[[ a == @(b|c) || ( d < e ) ]]; f", ["f"]),
    ("[[ a > b ]]\nc", ["c"]),
    ("if [[ a ]] then b; fi", ["b"]),
    ("[ -f x ] && a", ["[ -f x ]", "a"]),
    ("[ a > f ]", ["[ a ]"]),
    ("test a -o b", ["test a -o b"]),
    ("cat <<E\n$(a) 'b\nE\nc", ["cat", "a", "c"]),
    ("cat <<'E'\n$(a)\nE\nc", ["cat", "c"]),
    ("cat <<\\E\n$(a)\nE\nc", ["cat", "c"]),
    ("cat <<-E\n\ta\n\tE\nb", ["cat", "b"]),
    ("cat <<E\n\\$(a) \\\\$(b) `c`\nE\n", ["cat", "b", "c"]),
    ('cat <<E\n${x:-$(a)} $((1+2)) "$(b)"\nE', ["cat", "a", "b"]),
    ("cat <<A <<'B'\n$(a)\nA\n$(b)\nB\nc", ["cat", "a", "c"]),
    ("cat <<E | sh\nx\nE\nc", ["cat", "sh", "c"]),
    ("cat <<E && b >f\nx\nE\nc", ["cat", "b", "c"]),
    ("cat <<E; b\nx\nE\n", ["cat", "b"]),
    ("cat <<'E F'\nE\nE F\nb", ["cat", "b"]),
    ("cat <<E\nE \n E\nE\nb", ["cat", "b"]),
    ("cat <<E\na\\\nE\nE\nb", ["cat", "b"]),
    ("if cat <<E; then\nx\nE\nb; fi", ["cat", "b"]),
    ("while a <<E\nx\nE\ndo b; done", ["a", "b"]),
    ("{ a; } <<E\n$(b)\nE\nc", ["a", "b", "c"]),
    ("a $(b <<E\nx\nE\n) c", ["b", "a $() c"]),
    ("<<E a\nx\nE\nb", ["a", "b"]),
    ("a <<E\nE", ["a"]),
    ("a 2>&1 >x <y b", ["a b"]),
    (">x a b", ["a b"]),
    (">x a >y b", ["a b"]),
    ("a >x b c", ["a b c"]),
    ("a>x;b", ["a", "b"]),
    ("a &>x; b &>>y", ["a", "b"]),
    ("a 2>&-; b", ["a", "b"]),
    ("2>&-rm x", ["rm x"]),
    ("a >& -b c", ["a b c"]),
    ("a <&-; b", ["a", "b"]),
    ("a {fd}>x b", ["a b"]),
    (">x", [""]),
    ("a 12 >x", ["a 12"]),
    ("a x2>y", ["a x2"]),
    ("coproc a b", ["a b"]),
    ("coproc X { a; }", ["a"]),
    ("coproc { a; }", ["a"]),
    ("ls *.py [ab]* ? {a,b} ~", ["ls *.py [ab]* ? {a,b} ~"]),
    ("ls !(a|b)", ["ls !(a|b)"]),
    ("a\rb", ["a\rb"]),
    ("a\r\nb", ["a\r", "b"]),
    ("a\x0bb\x0cc", ["a\x0bb\x0cc"]),
    ("\u00e9=1 a", ["\u00e9=1 a"]),
    ("a $\u00e9", ["a $\u00e9"]),
    ("a\u00a0b", ["a\u00a0b"]),
    ("alias x='rm y'", ["alias x=rm y"]),
    ("trap 'rm y' EXIT", ["trap rm y EXIT"]),
    ('eval "rm $x"', ["eval rm $x"]),
    ("bash -c 'a; b'", ["bash -c a; b"]),
    (":(){ :|:& };:", [":", ":", ":"]),
    ("((a); b)", ["a", "b"]),
    ("a $((b); c)", ["b", "c", "a $()"]),
]


@pytest.mark.parametrize(("command", "expected"), EXACT)
def test_every_simple_command_is_found_and_nothing_else(command: str, expected: list[str] | None) -> None:
    assert texts(command) == ([command] if expected is None else expected)
    assert split(command).fault == ("it is empty" if expected == [] else "")


def test_redirections_are_kept_apart_from_the_words() -> None:
    (part,) = split("a 2>&1 >x 2>> y <z &>w >|v <>u").parts
    found = [(item.operator, item.target.text) for item in part.redirections]
    assert found == [(">&", "1"), (">", "x"), (">>", "y"), ("<", "z"), ("&>", "w"), (">|", "v"), ("<>", "u")]


def test_words_say_whether_their_text_is_what_the_program_gets() -> None:
    (part,) = split("a 'b$c' $d *e \"*\" {f,g} {} [ [x] ~/h ~root i=~ j=~root k~l").parts
    fixed = {word.text: word.fixed for word in part.words}
    assert fixed == {
        "a": True,
        "b$c": True,
        "$d": False,
        "*e": False,
        "*": True,
        "{f,g}": False,
        "{}": True,
        "[": True,
        "[x]": False,
        "~/h": True,
        "~root": False,
        "i=~": True,
        "j=~root": False,
        "k~l": True,
    }


@pytest.mark.parametrize(
    "command",
    [
        "",
        " \n\t",
        "# only this",
        "echo 'x",
        'echo "x',
        "echo `x",
        "echo $(x",
        "(x",
        "x)",
        "x &&",
        "x |",
        "&& x",
        "x ;; y",
        "x ; ; y",
        "cat <<E",
        "cat <<E\nx",
        "for do done",
        "if x; then y",
        "x; fi",
        "x >",
        "x \\",
        "x ${y",
        "a\0b",
        "a \ud800",
        "$(" * 200 + "a" + ")" * 200,
    ],
)
def test_what_bash_would_not_take_is_a_fault(command: str) -> None:
    assert split(command).fault


@pytest.mark.parametrize("command", ["a; b && c | d || e\nf", "a 'b' \"c\" # d", "X=1 a", "a 2>&1 >x", "a $b *"])
def test_lists_of_simple_commands_are_plain(command: str) -> None:
    assert split(command).plain


@pytest.mark.parametrize(
    "command",
    [
        "a & b",
        "(a)",
        "{ a; }",
        "a $(b)",
        "a `b`",
        "if a; then b; fi",
        "! a",
        "f() { a; }",
        "a <(b)",
        "a ${b:-c}",
        "cat <<E\nE",
        "a <<< b",
        "a |& b",
        "[[ a ]]",
        "((1))",
        "a $((1))",
        "coproc a",
        "x=(a b)",
    ],
)
def test_anything_else_is_not_plain(command: str) -> None:
    assert not split(command).plain


@pytest.mark.parametrize("char", ["\r", "\x1b", "\x7f", "\u202e", "\u200b", "\ufeff", "\x85"])
def test_characters_that_hide_text_are_noticed(char: str) -> None:
    assert split(f"ls {char}").odd
    assert not split("ls\t\u00e9\n").odd


@pytest.mark.parametrize(
    "command",
    [
        "i=0; while ((i < 3)); do a; i=$((i+1)); done",
        "for i in 1 2 3; do a $((i * 2)); done",
        "for ((i=0; i<3; i++)); do a; done",
        "[[ $# -gt 0 && $? -eq 0 ]] && a",
        "x=(a b); a ${x[0]} ${x[@]} ${#x[@]} ${!x[@]}",
        "a ${x:1:2} ${x#y} ${x/a/b} ${x@Q} ${x:-$(b)}",
        "f() { a; }; f",
        "case $x in a*) b;; esac",
        "a $((1 + 2)) $[3]",
        "[[ -f $x && $y == z* ]] && a",
    ],
)
def test_what_can_be_told_is_not_unclear(command: str) -> None:
    assert (split(command).fault, split(command).unclear) == ("", "")


@pytest.mark.parametrize(
    "command",
    [
        "a $((x + $(b)))",
        "read x; a $((x))",
        "x='y[$(b)]'; a $((x))",
        "x=$1; ((x))",
        "a $(($1))",
        ": 'x[$(b)]'; a $((_))",
        "a $((BASH_REMATCH))",
        "for x in $y; do ((x)); done",
        "a ${x:=$y} $((x))",
        "a ${y[$x]}",
        "[[ $x -gt 1 ]] && x=$y",
        "[[ -v x[$y] ]]",
        "a ${!x}",
        "a ${x@P}",
        "a ${x:$y}; y=$z",
        "a ${x:-<(b)}",
        "coproc a",
        "((a); b)",
        "a $((b); c)",
        "!(a)",
    ],
)
def test_what_depends_on_a_text_that_is_not_known_is_unclear(command: str) -> None:
    assert split(command).unclear


@pytest.mark.parametrize(
    "command",
    [
        "a &\\\n& b",
        "a $\\\n(b)",
        'a "$\\\n(b)"',
        "i\\\nf a; then b; fi",
        "a 2\\\n>b",
        "x[a b]=1 c",
        "x[a;b]=1",
        "cat <<$(a)\nb\n$(a)",
        "cat <<$'a'\nb\n$a",
        "cat <<E 'a\nb'\nc\nE\n",
        "cat <<E $(a\nb)\nc\nE\n",
        "a $(cat <<E)\nb\nE\n",
        "(a) b",
        "(a) (b)",
        "a (b)",
        "a(b)",
        "{ a }",
        "{ a; ) }",
        "fi",
        "then a",
        "if a; fi",
        "while a; b; done",
        "for x in a; b; done",
        "case x in a) b",
        "case x a) b;; esac",
        "case x in a b) c;; esac",
        "f() a",
        "f()",
        "f() {",
        "a | ; b",
        "a && ) b",
        "a & ; b",
        "(a &&)",
        "[[ a",
        "[[ a; b ]]",
        "((1",
        "a $((1)",
        "x=(a; b)",
        "x=(a",
        "a \"${x:-'}'}\"",
        "a ${}",
        "a ${ b; }",
        "( " * 300 + "a" + " )" * 300,
        '"${x:-' * 200,
        "$((" * 500,
        "x=(" * 500,
        "`" + "\\`" * 40,
    ],
)
def test_what_bash_may_read_otherwise_is_a_fault(command: str) -> None:
    assert split(command).fault


def test_a_part_before_the_fault_is_still_listed() -> None:
    assert texts("rm x; a $(rm y; b 'c") == ["rm x", "rm y", "b", "a"]
    assert texts("rm x; fi") == ["rm x"]
    assert texts("rm x; ( b") == ["rm x", "b"]


def test_a_part_knows_what_stands_around_it() -> None:
    command = split("a; (b; (c $(d))) | e; while f; do g; done; h() { i; }; j | { k; l; }; m < n; { o; } < p; q >(r)")
    around = {part.words[0].text: (part.depth, part.looped, part.fed) for part in command.parts if part.words}
    assert around == {
        "a": (0, False, False),
        "b": (1, False, False),
        "c": (2, False, False),
        "d": (3, False, False),
        "e": (0, False, True),
        "f": (0, True, False),
        "g": (0, True, False),
        "i": (0, True, True),
        "j": (0, False, False),
        "k": (0, False, True),
        "l": (0, False, True),
        "m": (0, False, False),
        "o": (0, False, True),
        "q": (0, False, False),
        "r": (1, False, True),
    }
    assert command.loops


def test_chains_keep_apart_who_reads_the_pipe() -> None:
    command = split("if a | b && c; then d; e | (f; g) | h || i; fi")
    assert [part.words[0].text for part in command.parts if part.fed] == ["b", "f", "g", "h"]


def test_a_document_belongs_to_those_who_may_read_it() -> None:
    command = split("a <<E | b <<<c; { d; e; } <<'F'\n$(x) \\$y\nE\n\\$z\nF\nf <<G <<H\n1\nG\n2\nH\n")
    given = {part.words[0].text: [word.text for word in part.documents] for part in command.parts}
    assert given == {"a": ["$() $y"], "b": ["c"], "x": [], "d": ["\\$z"], "e": ["\\$z"], "f": ["1", "2"]}
    assert sorted(command.documents) == ["$() $y", "1", "2", "\\$z", "c"]


def test_a_descriptor_stands_beside_its_operator() -> None:
    (part,) = split("a 2>b {c}>d <e 10>&1").parts
    assert [(item.descriptor, item.operator) for item in part.redirections] == [
        ("2", ">"),
        ("{c}", ">"),
        ("", "<"),
        ("10", ">&"),
    ]


def test_many_threads_read_at_the_same_time() -> None:
    commands = [f"if a{index}; then (b | c); else for x in y; do d; done; fi" for index in range(200)]
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(split, commands))
    assert all(not command.fault and len(command.parts) == 4 for command in read)


@pytest.mark.parametrize(
    "unit", ["$((", "$(", "`", "((", "( ", "{ ", "${x:-", "a=(", "[[ (", "@(", "<(", "case x in a) "]
)
def test_deep_and_torn_texts_take_bounded_time(unit: str) -> None:
    started = time.perf_counter()
    assert split(unit * 20_000).fault or unit == "`"
    assert time.perf_counter() - started < 10


PIECES = "a 'b' \" ' \\ $ ` ( ) { } ; & | < > \n # << <<E E $( ${ $(( if then fi case esac do done [[ = ~ * $'".split(
    " "
)
PIECES += ["\0", "\ud800", "\u202e"]


def test_random_junk_never_raises() -> None:
    random_source = random.Random(7)
    for _ in range(3000):
        junk = "".join(
            random_source.choice(PIECES) + random_source.choice(["", " "]) for _ in range(random_source.randint(0, 12))
        )
        reading = read_command(junk)
        assert reading.command is split(junk) or reading.command == split(junk)


@pytest.mark.parametrize(
    "unit", ["true ; ", "ls|", "echo $(x) ", "a[;", "sudo ", "timeout 5 ", "! ", "'", "a\n", "cd a; ", "eval "]
)
def test_long_commands_take_bounded_time(unit: str) -> None:
    # A quadratic step would take minutes here.
    reading = read_command(unit * (100_000 // len(unit)))
    assert reading.parts or reading.command.fault
