"""Runs packages/identity/vectors.json, or the file that is given. Prints each difference, then one line of counts; exits 1 if anything differs."""

import base64
import json
import pathlib
import sys

from answers import answer
from verifier import PUBLISHED, UUID_V7, Refused, Verifier, is_exempt, signing_keys, without_identity

FILE = pathlib.Path(__file__).resolve().parents[3] / "packages" / "identity" / "vectors.json"


def request_of(request):
    body = base64.b64decode(request["body_base64"])
    return request["method"], request["target"], [tuple(pair) for pair in request["headers"]], body


def verdict_on(vector, document, allow_published=True):
    method, target, headers, body = request_of(vector["request"])
    if is_exempt(method, target):
        return {"exempt": True, "headers_left": [name for name, _ in without_identity(headers)]}
    secrets = {entry["keyid"]: base64.b64decode(entry["secret_base64"]) for entry in document["keys"]["secrets"]}
    options = document["verifier"]
    verifier = Verifier(
        options["audience"], document["keys"]["jwks"], secrets, vector["memory_began"],
        options["tolerance_sec"], options["max_lifetime_sec"], document["keys"].get("agreement", []), allow_published,
    )
    deliver = lambda request: verifier.verify(*request_of(request), vector["now"], vector["stream"])
    for earlier in vector.get("requests_before", []) + [vector["request"]] * vector["delivered_before"]:
        try:
            deliver(earlier)
        except Refused:
            pass
    try:
        return {"identity": deliver(vector["request"])}
    except Refused as refusal:
        return {"refused": refusal.args[0]}


def failures_in(document):
    """Prints each vector whose result differs. Returns how many there are."""
    failed = 0
    for vector in document["vectors"]:
        expected = {key: vector[key] for key in ("identity", "refused", "exempt", "headers_left") if key in vector}
        verdict = verdict_on(vector, document)
        if verdict != expected:
            failed += 1
            print(f"{vector['name']}: expected {expected}, got {verdict}")
    return failed


def is_answered(vector):
    request, expected = vector["request"], vector["answer"]
    status, headers, text = answer(request["target"], request["headers"], **vector["cause"])
    body = json.loads(text)
    del body["title"]
    if body["request_id"] != headers["x-request-id"]:
        return False
    if "request_id" not in expected["body"]:
        if UUID_V7.fullmatch(body.pop("request_id")) is None or headers.pop("x-request-id") in str(request["headers"]):
            return False
    return {"status": status, "headers": headers, "body": body} == expected


def checks(document):
    """Pairs of an additional check of vectors.json, and whether it passed."""
    for one in document.get("key_sets", []):
        yield f"key set: {one['name']}", list(signing_keys(one["jwks"], True)) == one["usable"]
    for one in document.get("answers", []):
        yield f"answer: {one['name']}", is_answered(one)
    if "published" in document:
        yield "published keys", PUBLISHED == {value for values in document["published"].values() for value in values}
        first = next(vector for vector in document["vectors"] if "identity" in vector)
        without = {**document, "keys": {**document["keys"], "secrets": []}}
        yield "a published key does not work", verdict_on(first, without, False) == {"refused": "key_unknown"}
        try:
            verdict_on(first, document, False)
            yield "a published secret does not work", False
        except ValueError:
            yield "a published secret does not work", True


def main():
    document = json.loads(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else FILE).read_text())
    others = list(checks(document))
    wrong = [name for name, holds in others if not holds]
    for name in wrong:
        print(f"{name}: differs")
    failed = failures_in(document) + len(wrong)
    print(f"{len(document['vectors']) + len(others) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
