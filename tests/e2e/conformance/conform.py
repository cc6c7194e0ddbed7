"""Has two masters do the same work, asks both the same questions, and writes down in what they differ, a line for each difference.

Questions are made of the REST API specification of the installed buildbot package and of what application.spec says. Ids of
configured things are compared by their names, times by being there, folders and addresses by what they are for.

Arguments: the address of a stock Buildbot master, that of the other master, the repository that both watch, and a file with the
differences that are meant to be.
"""
import concurrent.futures
import http.client
import itertools
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import buildbot
import yaml

DEADLINE_S = 60
NAMED = {
    "builderid": ("builders", "builderid"),
    "workerid": ("workers", "workerid"),
    "masterid": ("masters", "masterid"),
    "claimed_by_masterid": ("masters", "masterid"),
    "schedulerid": ("schedulers", "schedulerid"),
    "changesourceid": ("changesources", "changesourceid"),
    "projectid": ("projects", "projectid"),
    "codebaseid": ("codebases", "codebaseid"),
}
OUTPUT_MARKS = ("h", "o", "e")
# What commands print: the other lines of a whole log are what a worker or master says about them.
PRINTED = {"one", "é ✓", "err", "no end", "pushed", "before", "begun", "idle"}
PATCH = "--- a/README\n+++ b/README\n@@ -1 +1 @@\n-thing\n+ü <b>\n"
OWNER = "Ada <ada@example.org>"
TIMES = re.compile(r"(_at|last_active|last_timestamp)$")
pool = concurrent.futures.ThreadPoolExecutor(16)
outer = concurrent.futures.ThreadPoolExecutor(6)


class Side:
    """One of the two masters."""

    def __init__(self, address):
        self.address, self.names, self.ids, self.asked = address.rstrip("/"), {}, {}, 0

    def send(self, path, body=None, headers=None):
        """Status and body of an answer: JSON where it is that."""
        self.asked += 1
        path = urllib.parse.quote(path, safe="/?&=%+,;:@!~*'()-._")
        headers = {"Accept": "application/json", **(headers or {})}
        request = urllib.request.Request(f"{self.address}/api/v2{path}", data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                status, text, kind = answer.status, answer.read(), answer.headers["content-type"]
        except urllib.error.HTTPError as error:
            status, text, kind = error.code, error.read(), error.headers["content-type"]
        except (urllib.error.URLError, http.client.HTTPException) as error:
            return 0, f"the answer breaks off: {error}", None
        try:
            return status, json.loads(text), kind
        except ValueError:
            return status, text.decode("utf-8", "replace"), kind

    def rows(self, path):
        status, body, _ = self.send(path)
        if status != 200:
            raise RuntimeError(f"{self.address}{path}: {status} {body}")
        [rows] = [value for key, value in body.items() if key != "meta"]
        return rows

    def control(self, path, method, **params):
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        status, body, _ = self.send(path, json.dumps(call).encode(), {"Content-Type": "application/json"})
        if status != 200:
            raise RuntimeError(f"{self.address}{path}: {method}: {status} {body}")
        return body["result"]

    def wait(self, what, condition):
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            time.sleep(0.05)
        raise RuntimeError(f"{self.address}: timed out waiting for {what}")

    def force(self, builder, until="complete", **fields):
        """Forces a builder and waits for its build; gives the request."""
        _, requests = self.control(
            "/forceschedulers/force", "force", builderid=str(self.ids["builderid", builder]), reason="because", username=OWNER, **fields
        )
        [request] = requests.values()
        if until == "complete":
            self.wait(builder, lambda: self.rows(f"/buildrequests/{request}")[0]["complete"])
        elif until == "step":
            self.running(request)
        return request

    def running(self, request):
        """Waits until a build of the request has said something."""
        build = self.wait("a build", lambda: self.rows(f"/builds?buildrequestid={request}"))[0]["buildid"]
        self.wait("its step", lambda: any(
            step["name"] == "long" and step["started_at"]
            and any(log["num_lines"] >= 2 for log in self.rows(f"/steps/{step['stepid']}/logs"))
            for step in self.rows(f"/builds/{build}/steps")))
        return build

    def learn(self):
        """Learns the names of what has one."""
        for field, (plural, own) in NAMED.items():
            status, body, _ = self.send(f"/{plural}")
            for row in body.get(plural, []) if status == 200 else []:
                name = "MASTER" if plural == "masters" else row["name"]
                self.names[field, row[own]] = name
                self.ids[field, name] = row[own]

    def ready(self):
        self.wait("its worker", lambda: [w for w in self.rows("/workers") if w["name"] == "far" and w["connected_to"]])
        self.learn()

    def work(self):
        """Everything that is done before the questions, but for what is pushed."""
        self.force("pass")
        self.force("fail")
        self.force("warn")
        self.force("skip", reason2="x", patch_body=PATCH, patch_author="Ada", patch_comment="try <b>")
        self.force("keep")
        stopped = self.force("slow", until="step")
        build = self.rows(f"/builds?buildrequestid={stopped}")[0]["buildid"]
        self.control(f"/builds/{build}", "stop", reason="enough")
        self.wait("the stopped build", lambda: self.rows(f"/buildrequests/{stopped}")[0]["complete"])
        cancelled = self.force("idle", until="")
        self.control(f"/buildrequests/{cancelled}", "cancel", reason="not wanted")
        self.wait("the cancelled request", lambda: self.rows(f"/buildrequests/{cancelled}")[0]["complete"])
        urgent = self.force("idle", until="")
        self.try_control(f"/buildrequests/{urgent}", "set_priority", priority=7)
        self.force("idle", until="")
        first = self.rows("/builds?order=buildid&limit=1")[0]["buildid"]
        _, requests = self.control(f"/builds/{first}", "rebuild")
        [again] = requests.values()
        self.wait("the rebuilt build", lambda: self.rows(f"/buildrequests/{again}")[0]["complete"])
        self.force("slow", until="step")
        self.control(f"/workers/{self.ids['workerid', 'gone']}", "pause", reason="holiday")
        scheduler = self.ids["schedulerid", "push"]
        self.wait("the paused worker", lambda: [w for w in self.rows("/workers") if w["paused"]])
        self.try_control(f"/schedulers/{scheduler}", "enable", enabled=True)

    def try_control(self, path, method, **params):
        try:
            self.control(path, method, **params)
        except RuntimeError as error:
            differ("actions", f"{method} of {path.split('/')[1]}", "", str(error).split(": ", 2)[-1])

    def pushed(self, count):
        self.wait("changes", lambda: len(self.rows("/changes")) >= count)
        self.wait("pushed builds", lambda: len([
            r for r in self.rows("/buildrequests?complete=1") if r["builderid"] == self.ids["builderid", "pushed builds"]]) >= count)

    def canonical(self, value, key=None):
        """The value without what has to differ."""
        if isinstance(value, dict):
            return {name: self.canonical(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            key = "masterid" if key == "masterids" else key
            inner = [self.canonical(inner, key) for inner in value]
            return sorted(inner, key=str) if key in ("configured_on", "masterid") else inner
        if isinstance(value, str):
            value = re.sub(r"(/[\w.-]+)*/toolpost-[\w.-]+", "FOLDER", value.replace(self.address, "ADDRESS"))
            if key == "content" and value[:1] in OUTPUT_MARKS:
                value = "".join(line for line in value.splitlines(True) if line[0] != "h")
            value = re.sub(r"127\.0\.0\.1:\d+", "HOST", value)
            return "MASTER" if re.fullmatch(r"[\w.-]+:FOLDER[\w/]*", value) else value
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        if key and TIMES.search(key):
            return "TIME" if value > 1_600_000_000 else value
        if (key, value) in self.names:
            return f"<{self.names[key, value]}>"
        return value


differences = {}


def differ(*line):
    differences.setdefault(" | ".join(line), None)


def commit(repository, message, files):
    for name, text in files.items():
        path = os.path.join(repository, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    git = ["git", "-C", repository, "-c", "user.name=Ada é", "-c", "user.email=ada@example.org"]
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--author", "Bob <bob@example.org>", "--message", message], check=True)


# The specification.

FOLDER = os.path.join(os.path.dirname(buildbot.__file__), "spec")


class Loader(yaml.SafeLoader):
    pass


def load(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return yaml.load(file, Loader)


Loader.add_constructor("!include", lambda loader, node: load(loader.construct_scalar(node)))


def patterns(node, path=""):
    for name, value in (node or {}).items():
        if name.startswith("/"):
            yield from patterns(value, path + name)
        elif name == "get":
            yield path


def alternatives(pattern):
    """Each with one name for a parameter: {a_or_b} is {a} or {b}."""
    parts = re.split(r"\{(.*?)\}", pattern)
    choices = [part.split("_or_") if at % 2 else [part] for at, part in enumerate(parts)]
    for chosen in itertools.product(*choices):
        yield "".join(f"{{{part}}}" if at % 2 else part for at, part in enumerate(chosen))


def types(spec):
    for name, node in spec["types"].items():
        yield name, {
            field.rstrip("?").removesuffix("[]"): declared if isinstance(declared, str) else declared.get("type", "any")
            for field, declared in (node.get("properties") or {}).items() if "[]" not in field
        }


# What is asked.

def samples(side):
    """Values for the parameters of paths: by sample, by parameter."""
    def of(builder, step, slug):
        build = side.rows(f"/builds?builderid={side.ids['builderid', builder]}&order=buildid&limit=1")[0]
        steps = side.rows(f"/builds/{build['buildid']}/steps")
        row = next(s for s in steps if s["name"] == step)
        log = next((log for log in side.rows(f"/steps/{row['stepid']}/logs") if log["slug"] == slug), {"logid": 999})
        request = side.rows(f"/buildrequests/{build['buildrequestid']}")[0]
        bsid = request["buildsetid"]
        ssid = side.rows(f"/buildsets/{bsid}")[0]["sourcestamps"][0]["ssid"]
        return {
            "builderid": build["builderid"], "buildername": builder, "buildid": build["buildid"], "build_number": build["number"],
            "stepid": row["stepid"], "step_name": step, "step_number": row["number"], "logid": log["logid"], "log_slug": slug,
            "buildrequestid": build["buildrequestid"], "bsid": bsid, "buildsetid": bsid, "ssid": ssid,
            "build_data_name": "told", "workerid": side.ids["workerid", "far"], "name": "far", "workername": "far",
            "masterid": side.ids["masterid", "MASTER"], "changeid": 1, "id": side.ids["workerid", "far"], "sched_name": "force", "schedulername": "force",
            "schedulerid": side.ids["schedulerid", "push"], "changesourceid": side.ids["changesourceid", "poller"],
            "projectid": side.ids.get(("projectid", "things"), 1), "projectname": "things",
            "codebaseid": side.ids.get(("codebaseid", "thing"), 1), "codebasename": "thing", "branchid": 1, "commitid": 1,
            "commitid1": 1, "commitid2": 2, "commit_id1": 1, "commit_id2": 2, "revision": side.revision, "test_result_setid": 1, "test_resultid": 1,
        }
    return {
        "pass": of("pass", "words", "stdio"),
        "keep": of("keep", "keep", "text"),
        "html": of("keep", "keep", "told_html"),
        "pushed": of("pushed builds", "words", "stdio"),
        "missing": {name: 9999 for name in NUMBERS} | {name: "nothing" for name in TEXTS},
        "bad": {name: "x y" for name in NUMBERS} | {name: "1x" for name in TEXTS},
        "large": {name: 99999999999999999999 for name in NUMBERS} | {name: "n" * 300 for name in TEXTS},
        "negative": {name: -1 for name in NUMBERS} | {name: "-" for name in TEXTS},
    }


TEXTS = ["buildername", "step_name", "log_slug", "build_data_name", "name", "workername", "sched_name", "schedulername",
         "projectname", "codebasename", "revision"]
NUMBERS = ["builderid", "buildid", "build_number", "stepid", "step_number", "logid", "buildrequestid", "bsid", "buildsetid", "ssid",
           "workerid", "id", "masterid", "changeid", "schedulerid", "changesourceid", "projectid", "codebaseid", "branchid", "commitid",
           "commitid1", "commitid2", "commit_id1", "commit_id2", "test_result_setid", "test_resultid"]


def both(sides, path):
    """The answers to the same question, whose path each side may fill in differently."""
    asked = [pool.submit(side.send, path(side) if callable(path) else path) for side in sides]
    return [answer.result() for answer in asked]


def envelope(answer):
    status, body, kind = answer
    if status == 200:
        return "200"
    if isinstance(body, dict) and list(body) == ["error"] and isinstance(body["error"], str):
        return f"{status} " + (body["error"] if status == 400 else "error")
    return f"{status} {kind} {body!r}"[:120]


def compare(sides, label, kind, answers):
    """Notes how two answers differ."""
    one, two = (envelope(answer) for answer in answers)
    if one != two:
        return differ(label, one, two)
    if one != "200":
        return None
    if answers[0][2] != answers[1][2]:
        differ(label, "content-type", answers[0][2], answers[1][2])
    one, two = (side.canonical(printed(answer[1])) for side, answer in zip(sides, answers))
    if isinstance(one, str) or isinstance(two, str):
        return None if one == two else differ(label, short(one[-120:]), short(two[-120:]))
    return values(kind, label, one, two)


def printed(answer):
    if not isinstance(answer, str) or not answer.startswith("Builder: "):
        return answer
    lines = answer.splitlines()
    return "\n".join([*lines[:3], *(line for line in lines[3:] if line in PRINTED)])


def values(kind, label, one, two):
    if one.keys() != two.keys():
        return differ(label, str(sorted(one)), str(sorted(two)))
    if one["meta"] != two["meta"]:
        differ(label, "meta", json.dumps(one["meta"]), json.dumps(two["meta"]))
    [plural] = [key for key in one if key != "meta"]
    one, two = one[plural], two[plural]
    if len(one) != len(two):
        return differ(label, f"{len(one)} rows", f"{len(two)} rows")
    keys = [[row_key(row) for row in rows] for rows in (one, two)]
    if sorted(keys[0]) == sorted(keys[1]) and len(set(keys[0])) == len(one):
        two = [two[keys[1].index(key)] for key in keys[0]]
    for a, b in zip(one, two):
        walk(plural, a, b)
    return None


def walk(place, one, two):
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(one.keys() | two.keys()):
            if key not in one or key not in two:
                differ(f"{place}.{key}", "is not there" if key not in one else short(one[key]),
                       "is not there" if key not in two else short(two[key]))
            else:
                walk(f"{place}.{key}", one[key], two[key])
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for a, b in zip(one, two):
            walk(f"{place}[]", a, b)
    elif one != two or type(one) is not type(two):
        differ(place, short(one), short(two))


def short(value):
    return json.dumps(value, ensure_ascii=False)[:160]


def every_path(sides, spec):
    """Each path, with each sample."""
    paths = {alternative for pattern in patterns(spec) for alternative in alternatives(pattern)}
    for side in sides:
        for row in side.rows("/application.spec"):
            paths.add("/" + re.sub(r"(?:\b[nis])?:(\w+)", r"{\1}", row["path"]).lstrip("/"))
    drawn = [samples(side) for side in sides]
    served = [{re.sub(r"(?:\b[nis])?:\w+", "*", row["path"]).strip("/") for row in side.rows("/application.spec")} for side in sides]
    questions = []
    for path in sorted(paths):
        parameters = re.findall(r"\{(.*?)\}", path)
        general = re.sub(r"\{.*?\}", "*", path).strip("/")
        if general not in served[0]:
            # What is beyond a stock master is none of its business.
            continue
        unknown = [name for name in parameters if name not in drawn[0]["pass"]]
        if unknown:
            differ("no samples", path, str(unknown))
            continue
        seen = set()
        for sample in drawn[0] if parameters else ["pass"]:
            if sample in ("negative", "large") and len(parameters) > 1:
                continue
            asked = [path.format(**of[sample]) for of in drawn]
            if tuple(asked) not in seen:
                seen.add(tuple(asked))
                questions.append((f"{path} {sample}", asked))
    def ask(question):
        label, asked = question
        answers = [pool.submit(side.send, asked) for side, asked in zip(sides, asked)]
        return label, [answer.result() for answer in answers]
    for label, answers in outer.map(ask, questions):
        compare(sides, label, None, answers)


LISTS = [
    ("builder", "/builders"), ("build", "/builds"), ("buildrequest", "/buildrequests"), ("buildset", "/buildsets"),
    ("change", "/changes"), ("changesource", "/changesources"), ("codebase", "/codebases"),
    ("codebase_branch", "/codebases/{codebaseid}/branches"), ("codebase_commit", "/codebases/{codebaseid}/commits"),
    ("forcescheduler", "/forceschedulers"), ("master", "/masters"), ("project", "/projects"), ("scheduler", "/schedulers"),
    ("sourcestamp", "/sourcestamps"), ("worker", "/workers"), ("step", "/builds/{buildid}/steps"),
    ("log", "/steps/{stepid}/logs"), ("build_data", "/builds/{buildid}/data"),
    ("test_result_set", "/builds/{buildid}/test_result_sets"), ("test_result", "/test_result_sets/{test_result_setid}/results"),
    ("_property", "/builds/{buildid}/property_list"),
]
# Pages are made alike for all lists; these are enough to see it.
PAGED = {"builder", "build", "buildrequest", "change", "worker", "step", "codebase_commit", "forcescheduler"}
# Fields that are lists.
OF_LISTS = {
    "builder": ["tags__contains=good", "tags__contains=good&tags__contains=bad", "tags__contains=goo", "tags__contains=none", "masterids__contains=1",
                "masterids__contains=99"],
    "change": ["files__contains=src/a", "files__contains=src", "files__contains=src/a&files__contains=src/b", "parent_changeids__contains=1"],
}
OPERATORS = ["eq", "ne", "lt", "le", "gt", "ge", "contains", "in", "notin"]
SIMPLE = {"integer": 987654, "string": "nothing at all", "identifier": "nothing", "boolean": None, "date": 4102444800, "int": 987654}


def every_query(sides, spec):
    declared = dict(types(spec)) | {"_property": {"name": "string", "source": "string", "value": "string"}}
    drawn = [samples(side)["keep"] for side in sides]
    for kind, path in LISTS:
        paths = [path.format(**of) for of in drawn]
        rows = []
        for side, asked in zip(sides, paths):
            status, body, _ = side.send(asked)
            rows.append([] if status != 200 else next(v for k, v in body.items() if k != "meta"))
        if not rows[0] or not rows[1]:
            differ(path, f"{len(rows[0])} rows", f"{len(rows[1])} rows")
            continue
        queries = list(of_fields(kind, declared[kind], sides, rows))
        if kind in PAGED:
            queries += of_pages(kind, declared[kind])
        def ask(query):
            label, text = query
            return label, both(sides, lambda side: f"{paths[sides.index(side)]}?{text(side) if callable(text) else text}")
        for label, answers in outer.map(ask, queries):
            compare_rows(sides, f"{path} {label}", answers)


def compare_rows(sides, label, answers):
    """By which rows they give: what is in them was compared before."""
    one, two = (envelope(answer) for answer in answers)
    if one != two:
        return differ(label, one, two)
    if one != "200":
        return None
    told = []
    for side, (_, body, _) in zip(sides, answers):
        [rows] = [value for key, value in body.items() if key != "meta"]
        told.append(([row_key(side.canonical(row)) for row in rows], body["meta"], [sorted(row) for row in rows[:1]]))
    (one, meta, names), (two, other, others) = told
    if "order" not in label:
        one, two = sorted(one), sorted(two)
    if "order" in label and re.search(r"(_at|last_active)", label):
        one, two = sorted(one), sorted(two)
    if one != two:
        return differ(label, str(one)[:200], str(two)[:200])
    if meta != other:
        differ(label, "meta", json.dumps(meta), json.dumps(other))
    if "field" in label and names != others:
        differ(label, str(names), str(others))
    return None


KEYS = ("buildid", "number", "buildrequestid", "bsid", "changeid", "ssid", "stepid", "logid", "commitid", "branchid", "test_resultid",
        "test_result_setid", "name", "path", "builderid", "workerid", "masterid", "schedulerid")


def row_key(row):
    """What tells a row of a list from the others."""
    return next((str(row[field]) for field in KEYS if row.get(field) is not None), "row")


def literal(value):
    return {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value


def of_fields(kind, fields, sides, rows):
    for field, declared in fields.items():
        yield f"field={field}", f"field={field}"
        if declared not in SIMPLE:
            yield f"order={field}", f"order={field}"
            yield f"{field}=x", f"{field}=x"
            continue
        if (kind, field) == ("master", "name"):
            # Made of the machine and a folder.
            continue
        # Masters number what is configured in an order of their own.
        arbitrary = field in NAMED
        id_field = "name" if kind in ("builder", "worker", "scheduler") else next((name for name in fields if name.endswith("id") and name != field), field)
        tie = "" if kind in ("_property", "forcescheduler") else f"&order={id_field}"
        if not arbitrary:
            yield f"order={field}", f"order={field}{tie}"
            yield f"order=-{field}", f"order=-{field}{tie}"
        yield f"field and sort by {field}", f"field={field}&order=-{field}"
        some = []
        for row in rows[0]:
            value = row.get(field)
            if value is not None and value not in some:
                some.append(value)
        some = some[:2]
        if declared == "date" or TIMES.search(field):
            some = [1]
        absent = SIMPLE[declared]
        def own(side, value, field=field):
            """The same thing by its id on this side."""
            if (field, value) in sides[0].names:
                return side.ids.get((field, sides[0].names[field, value]), value)
            return value
        def word(value, several=None, operator=None, own=own, field=field):
            name = field if operator is None else f"{field}__{operator}"
            return lambda side: "&".join(
                f"{name}={urllib.parse.quote(str(literal(own(side, v))))}" for v in (value if several else [value]))
        two = [*some, *([absent] if absent is not None else [])][:2]
        for operator in OPERATORS:
            if arbitrary and operator in ("lt", "le", "gt", "ge"):
                continue
            for value in some[:1]:
                yield f"{field}__{operator}=known", word(value, operator=operator)
            if len(two) == 2 and operator in ("eq", "ne", "lt", "contains", "in", "notin"):
                yield f"{field}__{operator}=two", word(two, True, operator)
        for operator in [None, "ne", "lt"] if absent is not None else []:
            yield f"{field}__{operator}=unknown", word(absent, operator=operator)
        yield f"{field}=junk", f"{field}=junk%00%ff"


def of_pages(kind, fields):
    first, last = list(fields)[0], list(fields)[-1]
    if kind == "builder":
        first = "name"
    for query in [f"limit=2&order={first}", f"limit=2&offset=1&order={first}", "limit=0", "offset=1000", "limit=1000", "limit=x", "limit=-1", "offset=x",
                  "offset=-1", f"limit=1&limit=2&order={first}", "limit=99999999999999999999", "limit=", "field=nothing", "field=", "order=nothing", "order=", "order=-",
                  "nothing=1", "nothing__eq=1", f"{first}__nothing=1", "nothing", "=1", "property=*", "property=told", "property=a&property=list",
                  f"field={first}&field={last}", f"field={first}&order={last}", f"field={first}&{last}__eq=1",
                  f"limit=1&order=-{first}", "limit=1&offset=1&order=" + first, *OF_LISTS.get(kind, [])]:
        yield query, query


CALLS = [
    ("no JSON", "/builds/1", b"{", "application/json"),
    ("nothing", "/builds/1", b"", "application/json"),
    ("a form", "/builds/1", b"a=1", "application/x-www-form-urlencoded"),
    ("no type", "/builds/1", b"{}", ""),
    ("a list", "/builds/1", b"[]", "application/json"),
    ("a number", "/builds/1", b"3", "application/json; charset=utf-8"),
    ("no version", "/builds/1", b"{}", "application/json"),
    ("no method", "/builds/1", b'{"jsonrpc":"2.0","id":1,"params":{}}', "application/json"),
    ("no id", "/builds/1", b'{"jsonrpc":"2.0","method":"stop","params":{}}', "application/json"),
    ("no params", "/builds/1", b'{"jsonrpc":"2.0","method":"stop","id":1}', "application/json"),
    ("params in a list", "/builds/1", b'{"jsonrpc":"2.0","method":"stop","id":1,"params":[]}', "application/json"),
    ("method 7", "/builds/1", b'{"jsonrpc":"2.0","method":7,"id":1,"params":{}}', "application/json"),
    ("id true", "/builds/1", b'{"jsonrpc":"2.0","method":"nothing","id":true,"params":{}}', "application/json"),
    ("id 1.5", "/builds/1", b'{"jsonrpc":"2.0","method":"nothing","id":1.5,"params":{}}', "application/json"),
    ("version 1", "/builds/1", b'{"jsonrpc":"1.0","method":"stop","id":1,"params":{}}', "application/json"),
    ("bytes", "/builds/1", b"\xff\xfe", "application/json"),
    ("deep", "/builds/1", b"[" * 100_000, "application/json"),
    ("long", "/builds/1", b'{"jsonrpc":"2.0","method":"nothing","id":1,"params":{"a":"' + b"x" * 20_000_000 + b'"}}', "application/json"),
] + [
    (f"{method} of {path}" + (f" with {json.dumps(params)}" if params else ""), path, json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode(), "application/json")
    for path, method, params in [
        ("/builds/1", "nothing", {}), ("/builds/9999", "stop", {}), ("/builds/1", "stop", {}), ("/builds/9999", "rebuild", {}),
        ("/builds", "stop", {}), ("/nothing", "stop", {}), ("/builds/x", "stop", {}),
        ("/buildrequests/1", "nothing", {}), ("/buildrequests/9999", "cancel", {}), ("/buildrequests/1", "cancel", {}),
        ("/buildrequests/1", "set_priority", {}), ("/buildrequests/9999", "set_priority", {"priority": 3}),
        ("/buildrequests/1", "set_priority", {"priority": "much"}),
        ("/workers/9999", "pause", {}), ("/workers/far", "nothing", {}), ("/workers/nothing", "stop", {}),
        ("/schedulers/9999", "enable", {"enabled": True}), ("/schedulers/1", "enable", {}), ("/schedulers/1", "nothing", {}),
        ("/forceschedulers/force", "nothing", {}), ("/forceschedulers/nothing", "force", {}), ("/forceschedulers/force", "force", {}),
        ("/forceschedulers/force", "force", {"builderid": 9999}), ("/forceschedulers/force", "force", {"builderNames": ["nothing"]}),
        ("/forceschedulers/force", "force", {"builderNames": 7}),
        ("/builders/1", "nothing", {}), ("/masters/1", "nothing", {}), ("/changes", "nothing", {}), ("/", "nothing", {}),
    ]
]


def every_call(sides):
    for label, path, body, kind in CALLS:
        answers = [side.send(path, body, {"Content-Type": kind}) for side in sides]
        told = []
        for status, answer, kind in answers:
            error = answer.get("error") if isinstance(answer, dict) else None
            if isinstance(error, dict):
                members = sorted(answer)
                message = error.get("message") if status == 400 else ""
                told.append(f"{status} {error.get('code')} {members} {kind} {json.dumps(message)[:100]}")
            else:
                told.append(f"{status} {kind} {str(answer)[:100]}")
        if told[0] != told[1]:
            differ("POST " + label, *told)
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"]:
        told = []
        for side in sides:
            request = urllib.request.Request(f"{side.address}/api/v2/builds", method=method)
            try:
                with urllib.request.urlopen(request) as answer:
                    told.append(str(answer.status))
            except urllib.error.HTTPError as error:
                told.append(str(error.code))
        if told[0] != told[1]:
            differ(f"{method} /builds", *told)


def judge(excuses):
    """What is wrong, by the lines of a file with a regular expression for a whole difference each."""
    with open(excuses, encoding="utf-8") as file:
        patterns = [line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")]
    # Those with a mark depend on which of two masters was quicker.
    at_times = {pattern for pattern in patterns if pattern.startswith("? ")}
    unused, faults = set(patterns) - at_times, []
    for line in sorted(differences):
        fitting = [pattern for pattern in patterns if re.fullmatch(pattern.removeprefix("? "), line)]
        unused.difference_update(fitting)
        if not fitting:
            faults.append(line)
    return [f"without a reason: {line}" for line in faults] + [f"no difference any more: {line}" for line in sorted(unused)]


def main():
    stock, address, repository, excuses = sys.argv[1:5]
    sides = [Side(stock), Side(address)]
    spec = load("api.raml")
    started = time.monotonic()
    for done in [pool.submit(side.ready) for side in sides]:
        done.result()
    for done in [pool.submit(side.work) for side in sides]:
        done.result()
    # One after the other, so that both number what comes of them alike.
    commit(repository, "second\n\nwith 'é' in it", {"src/a": "2", "docs/ü.md": "x"})
    for side in sides:
        side.pushed(1)
    commit(repository, "third", {"src/b": "3"})
    for side in sides:
        side.pushed(2)
    revision = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    for side in sides:
        side.revision = revision
        side.learn()
    worked = time.monotonic()
    every_path(sides, spec)
    walked = time.monotonic()
    every_query(sides, spec)
    asked = time.monotonic()
    every_call(sides)
    if os.environ.get("CONFORM_ALL"):
        print("\n".join(sorted(differences)))
    faults = judge(excuses)
    print("\n".join(faults))
    print(f"work {worked - started:.1f} s, paths {walked - worked:.1f} s, queries {asked - walked:.1f} s, "
          f"{len(differences)} differences of {sum(side.asked for side in sides)} answers", file=sys.stderr)
    sys.exit(bool(faults))


main()
