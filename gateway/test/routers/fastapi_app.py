from fastapi import FastAPI, Response

app = FastAPI()


def answer(handler):
    return lambda: Response(headers={"x-handler": handler})


app.get("/reports/{id}")(answer("report"))
app.get("/reports")(answer("reports"))
app.get("/healthz")(answer("health"))
app.get("/{rest:path}")(answer("all"))
