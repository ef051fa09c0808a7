"""Runs packages/identity/vectors.json, or the file that is given. Prints each difference, then one line of counts; exits 1 if anything differs."""

import base64
import json
import pathlib
import sys

from verifier import Refused, Verifier, is_exempt, without_identity

FILE = pathlib.Path(__file__).resolve().parents[3] / "packages" / "identity" / "vectors.json"


def request_of(request):
    body = base64.b64decode(request["body_base64"])
    return request["method"], request["target"], [tuple(pair) for pair in request["headers"]], body


def verdict_on(vector, document):
    method, target, headers, body = request_of(vector["request"])
    if is_exempt(method, target):
        return {"exempt": True, "headers_left": [name for name, _ in without_identity(headers)]}
    secrets = {entry["keyid"]: base64.b64decode(entry["secret_base64"]) for entry in document["keys"]["secrets"]}
    options = document["verifier"]
    verifier = Verifier(
        options["audience"], document["keys"]["jwks"], secrets, vector["memory_began"],
        options["tolerance_sec"], options["max_lifetime_sec"], document["keys"].get("agreement", []),
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


def main():
    document = json.loads(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else FILE).read_text())
    failed = failures_in(document)
    print(f"{len(document['vectors']) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
