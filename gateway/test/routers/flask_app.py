from flask import Flask, Response

app = Flask(__name__)
ALL = ["GET"]


def answer(handler):
    return lambda **_: Response("", headers={"x-handler": handler})


app.add_url_rule("/reports/<id>", "report", answer("report"), methods=ALL)
app.add_url_rule("/reports", "reports", answer("reports"), methods=ALL)
app.add_url_rule("/healthz", "health", answer("health"), methods=ALL)
app.add_url_rule("/", "root", answer("all"), methods=ALL)
app.add_url_rule("/<path:rest>", "all", answer("all"), methods=ALL)
