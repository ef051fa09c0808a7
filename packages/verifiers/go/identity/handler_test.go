package identity_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/identity"
	"github.com/countersign/countersign/packages/verifiers/go/identity/identitytest"
)

const audience = "my-service"

func user(role string, scopes ...string) identity.Identity {
	return identity.Identity{
		Kind: identity.KindUser, User: &identity.User{ID: "u-1", Role: role, TenantID: "t-1"},
		Context: identity.Context{Scopes: scopes},
	}
}

func client(role string, scopes ...string) identity.Identity {
	return identity.Identity{
		Kind: identity.KindClient, Client: &identity.Client{ID: "c-1", Role: role},
		Context: identity.Context{Scopes: scopes},
	}
}

func service(by identity.Identity) identity.Identity {
	by.Kind, by.ServiceID = identity.KindService, "s-1"
	return by
}

// newService returns a service behind a gateway, and counts the requests that reach its handlers.
func newService(t *testing.T, edit func(*identity.Config), next http.Handler) (*identitytest.Gateway, http.Handler, *atomic.Int64) {
	t.Helper()
	gateway := identitytest.NewGateway(audience)
	config := identity.Config{Audience: audience, Keys: gateway.Keys(), Replay: gateway.Replay()}
	if edit != nil {
		edit(&config)
	}
	verifier, err := identity.New(config)
	if err != nil {
		t.Fatal(err)
	}
	reached := new(atomic.Int64)
	return gateway, verifier.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		next.ServeHTTP(w, r)
	})), reached
}

func ask(t *testing.T, gateway *identitytest.Gateway, handler http.Handler, r *http.Request, as identity.Identity) *httptest.ResponseRecorder {
	t.Helper()
	if err := gateway.Sign(r, as); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func codeOf(w *httptest.ResponseRecorder) string {
	var body struct{ Code string }
	_ = json.Unmarshal(w.Body.Bytes(), &body)
	return strings.TrimSpace(fmt.Sprint(w.Code, " ", body.Code))
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if _, isThere := identity.FromContext(r.Context()); !isThere {
		http.Error(w, "no identity", http.StatusInternalServerError)
	}
})

func TestGuards(t *testing.T) {
	anonymous, gatewayItself := identity.Identity{Kind: identity.KindAnonymous}, identity.Identity{Kind: identity.KindGateway}
	withProof := user("member")
	withProof.Context.KeyThumbprint = strings.Repeat("k", 43)
	machines := []identity.Kind{identity.KindUser, identity.KindClient}
	tests := []struct {
		name    string
		guarded http.Handler
		as      identity.Identity
		want    string
	}{
		{"a user", identity.Require(ok), user("member"), "200"},
		{"a client on a user's route", identity.Require(ok), client(""), "403 identity_not_allowed"},
		{"an anonymous caller on a user's route", identity.Require(ok), anonymous, "403 identity_not_allowed"},
		{"the gateway on a user's route", identity.Require(ok), gatewayItself, "403 identity_not_allowed"},
		{"a service for a user on a user's route", identity.Require(ok), service(user("member")), "403 identity_not_allowed"},
		{"a client where clients are accepted", identity.Require(ok, machines...), client(""), "200"},
		{"an anonymous caller on an open route", identity.Require(ok, identity.KindAnonymous), anonymous, "200"},
		{"a user on a route for services", identity.Require(ok, identity.KindService), user("member"), "403 identity_not_allowed"},
		{"a service for itself", identity.Require(ok, identity.KindService), service(identity.Identity{}), "200"},
		{"a service for a client, where clients are not known", identity.Require(ok, identity.KindService), service(client("")), "403 identity_not_allowed"},
		{"a service for a client", identity.Require(ok, identity.KindService, identity.KindClient), service(client("")), "200"},
		{"a user with the role", identity.RequireRole(ok, "agent", "admin"), user("admin"), "200"},
		{"a user with another role", identity.RequireRole(ok, "agent"), user("member"), "403 insufficient_role"},
		{"a service for a user with the role", identity.RequireRole(ok, "agent"), service(user("agent")), "200"},
		{"a client with the role alone", identity.RequireRole(ok, "agent"), client("agent"), "403 insufficient_role"},
		{"a client with the role, where clients are accepted", identity.Require(identity.RequireRole(ok, "agent"), machines...), client("agent"), "200"},
		{"a client without a role, where clients are accepted", identity.Require(identity.RequireRole(ok, "agent"), machines...), client(""), "403 insufficient_role"},
		{"an anonymous caller on a role's route", identity.RequireRole(ok, "agent"), anonymous, "403 insufficient_role"},
		{"a user with the scopes", identity.RequireScope(ok, "a", "b"), user("member", "b", "c", "a"), "200"},
		{"a user without one", identity.RequireScope(ok, "a", "b"), user("member", "a"), "403 insufficient_scope"},
		{"a user with a longer scope", identity.RequireScope(ok, "a"), user("member", "a.b", "A"), "403 insufficient_scope"},
		{"a user with a proof", identity.RequireScope(ok, "a"), withProof, "403 insufficient_scope"},
		{"a client with the scope alone", identity.RequireScope(ok, "a"), client("", "a"), "403 identity_not_allowed"},
		{"a client with the scope, where clients are accepted", identity.Require(identity.RequireScope(ok, "a"), machines...), client("", "a"), "200"},
		{"no guard", ok, user("member"), "500"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			gateway, handler, _ := newService(t, nil, test.guarded)
			w := ask(t, gateway, handler, httptest.NewRequest("GET", "/", nil), test.as)
			if codeOf(w) != test.want {
				t.Fatalf("got %s %s", codeOf(w), w.Body)
			}
			scheme := map[bool]string{true: "DPoP", false: "Bearer"}[test.as.Context.KeyThumbprint != ""]
			challenge := w.Header().Get("WWW-Authenticate")
			if strings.Contains(test.want, "scope") != strings.HasPrefix(challenge, scheme+` error="insufficient_scope", scope="a`) {
				t.Fatalf("challenge: %s", challenge)
			}
		})
	}
}

func TestGuardOutsideOfHandlerFails(t *testing.T) {
	w := httptest.NewRecorder()
	identity.Require(ok, identity.KindAnonymous, identity.KindUser).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusInternalServerError {
		t.Fatalf("got %d", w.Code)
	}
	gateway, handler, _ := newService(t, nil, identity.Require(ok))
	if w := ask(t, gateway, handler, httptest.NewRequest("GET", "/healthz", nil), user("member")); w.Code != http.StatusInternalServerError {
		t.Fatalf("on an exempt path: got %d", w.Code)
	}
}

func TestGuardsNeedNames(t *testing.T) {
	for name, make := range map[string]func(){
		"no role":     func() { identity.RequireRole(ok) },
		"empty role":  func() { identity.RequireRole(ok, "") },
		"no scope":    func() { identity.RequireScope(ok) },
		"two in one":  func() { identity.RequireScope(ok, "a b") },
		"empty scope": func() { identity.RequireScope(ok, "") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			make()
		})
	}
}

func TestBodies(t *testing.T) {
	echo := identity.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	stream := func(r *http.Request) bool { return r.URL.Path == "/upload" }
	large := strings.Repeat("x", 100_000)
	tests := []struct {
		name, method, path, body string
		streamed                 bool
		change                   func(*http.Request)
		want                     string
	}{
		{"a body", "POST", "/", large, false, nil, large},
		{"an empty body", "POST", "/", "", false, nil, ""},
		{"another body", "POST", "/", "{}", false, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("[]")) }, "content_digest_mismatch"},
		{"no body any more", "POST", "/", "{}", false, func(r *http.Request) { r.Body = http.NoBody }, "content_digest_mismatch"},
		{"a coding that is not covered", "POST", "/", "{}", false, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, "header_malformed"},
		{"another media type", "POST", "/", "{}", false, func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }, "signature_invalid"},
		{"a stream", "POST", "/upload", large, true, nil, large},
		{"a stream elsewhere", "POST", "/", "{}", true, nil, "content_digest_missing"},
		{"a body that no header announces", "GET", "/", "", true, func(r *http.Request) {
			r.ContentLength, r.Body = -1, io.NopCloser(strings.NewReader("{}"))
		}, "content_digest_missing"},
		{"a body that is larger than allowed", "POST", "/", large + large, false, nil, "payload_too_large"},
		{"a body of unknown length that is larger than allowed", "POST", "/", large + large, false, func(r *http.Request) {
			r.ContentLength = -1
			r.TransferEncoding = []string{"chunked"}
		}, "payload_too_large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			limit := func(config *identity.Config) { config.MaxBodyBytes, config.Stream = 150_000, stream }
			gateway, handler, reached := newService(t, limit, echo)
			r := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
			r.Header.Set("Content-Type", "application/json")
			sign := gateway.Sign
			if test.streamed {
				sign = gateway.SignStream
			}
			if err := sign(r, identitytest.User); err != nil {
				t.Fatal(err)
			}
			if test.change != nil {
				test.change(r)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			switch {
			case w.Code == http.StatusOK:
				if w.Body.String() != test.want || reached.Load() != 1 {
					t.Fatalf("got %d bytes", w.Body.Len())
				}
			case w.Header().Get("X-Identity-Refused") != test.want && codeOf(w) != "413 "+test.want || reached.Load() != 0:
				t.Fatalf("got %d %v, reached %d", w.Code, w.Header(), reached.Load())
			}
		})
	}
}

func TestRefusalIsReported(t *testing.T) {
	var reported []error
	report := func(config *identity.Config) {
		config.OnRefused = func(_ *http.Request, err error) { reported = append(reported, err) }
	}
	gateway, handler, reached := newService(t, report, ok)
	r := httptest.NewRequest("GET", "/a?secret=1", nil)
	if err := gateway.Sign(r, identitytest.User); err != nil {
		t.Fatal(err)
	}
	id := r.Header.Get("X-Request-Id")
	r.Header.Set("X-User-Role", "admin")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), id) || reached.Load() != 0 {
		t.Fatalf("got %s", w.Body)
	}
	var refused identity.RefusedError
	if len(reported) != 1 || !errors.As(reported[0], &refused) || refused != "signature_invalid" {
		t.Fatalf("reported %v", reported)
	}
}

// slowBody is a body that arrives late.
type slowBody struct {
	io.Reader
	arrive func()
}

func (b slowBody) Read(p []byte) (int, error) {
	b.arrive()
	return b.Reader.Read(p)
}

func TestSignatureThatExpiresDuringTheBodyIsRefused(t *testing.T) {
	now := time.Now()
	clock := func(config *identity.Config) { config.Now = func() time.Time { return now } }
	gateway, handler, reached := newService(t, clock, ok)
	r := httptest.NewRequest("POST", "/", strings.NewReader("{}"))
	if err := gateway.Sign(r, identitytest.User); err != nil {
		t.Fatal(err)
	}
	r.Body = io.NopCloser(slowBody{r.Body, func() { now = now.Add(time.Minute) }})
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if reason := w.Header().Get("X-Identity-Refused"); reason != "expired" || reached.Load() != 0 {
		t.Fatalf("got %d %s", w.Code, reason)
	}
}

// brokenReplay is a store that is gone.
type brokenReplay struct{}

func (brokenReplay) Claim(context.Context, identity.Claim) error {
	return errors.New("connection refused")
}

func TestUnavailableStoreIs503(t *testing.T) {
	broken := func(config *identity.Config) { config.Replay = brokenReplay{} }
	gateway, handler, reached := newService(t, broken, ok)
	w := ask(t, gateway, handler, httptest.NewRequest("GET", "/", nil), identitytest.User)
	if codeOf(w) != "503 identity_unavailable" || w.Header().Get("X-Identity-Unavailable") != "replay_unavailable" || reached.Load() != 0 {
		t.Fatalf("got %s %v", codeOf(w), w.Header())
	}
}

func TestExactlyOneOfConcurrentReplaysPasses(t *testing.T) {
	gateway, handler, reached := newService(t, nil, identity.Require(ok))
	server := httptest.NewServer(handler)
	defer server.Close()
	const requests, copies = 100, 10
	var group sync.WaitGroup
	var accepted, replayed atomic.Int64
	for range requests {
		r, _ := http.NewRequest("GET", server.URL+"/", nil)
		if err := gateway.Sign(r, identitytest.User); err != nil {
			t.Fatal(err)
		}
		for range copies {
			group.Add(1)
			go func() {
				defer group.Done()
				response, err := http.DefaultClient.Do(r.Clone(t.Context()))
				if err != nil {
					t.Error(err)
					return
				}
				response.Body.Close()
				switch response.Header.Get("X-Identity-Refused") {
				case "":
					accepted.Add(1)
				case "replayed":
					replayed.Add(1)
				}
			}()
		}
	}
	group.Wait()
	if accepted.Load() != requests || replayed.Load() != requests*(copies-1) || reached.Load() != requests {
		t.Fatalf("%d accepted, %d replayed, %d reached", accepted.Load(), replayed.Load(), reached.Load())
	}
}

func TestUpgradeIsVerifiedBefore101(t *testing.T) {
	upgrade := identity.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		connection.Close()
	}))
	gateway, handler, reached := newService(t, nil, upgrade)
	server := httptest.NewServer(handler)
	defer server.Close()
	ask := func(change func(http.Header)) int {
		r, _ := http.NewRequest("GET", server.URL+"/socket", nil)
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		if err := gateway.Sign(r, identitytest.User); err != nil {
			t.Fatal(err)
		}
		change(r.Header)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if status := ask(func(http.Header) {}); status != 101 {
		t.Errorf("got %d", status)
	}
	if status := ask(func(h http.Header) { h.Set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==") }); status != 401 {
		t.Errorf("another key: got %d", status)
	}
	if status := ask(func(h http.Header) { h.Set("Upgrade", "h2c") }); status != 401 {
		t.Errorf("another protocol: got %d", status)
	}
	if reached.Load() != 1 {
		t.Errorf("%d reached the handler", reached.Load())
	}
}

func TestHTTP2(t *testing.T) {
	gateway, handler, _ := newService(t, nil, identity.Require(ok))
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	ask := func(method, body string) string {
		r, _ := http.NewRequest(method, server.URL+"/a?b=c", io.MultiReader(strings.NewReader(body))) // Of unknown length.
		if err := gateway.Sign(r, identitytest.User); err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return fmt.Sprint(response.ProtoMajor, " ", response.StatusCode, " ", response.Header.Get("X-Identity-Refused"))
	}
	for _, test := range []struct{ method, body, want string }{
		{"GET", "", "2 200 "},
		{"POST", "{}", "2 200 "},
		{"GET", "{}", "2 401 content_digest_missing"},
	} {
		if got := ask(test.method, test.body); got != test.want {
			t.Errorf("%s with %q: got %s", test.method, test.body, got)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	gateway := identitytest.NewGateway(audience)
	good := identity.Config{Audience: audience, Keys: gateway.Keys(), Replay: gateway.Replay()}
	if _, err := identity.New(good); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*identity.Config){
		"no audience":             func(c *identity.Config) { c.Audience = "" },
		"audience of a form":      func(c *identity.Config) { c.Audience = "my service" },
		"no keys":                 func(c *identity.Config) { c.Keys = nil },
		"no replay store":         func(c *identity.Config) { c.Replay = nil },
		"secret of 31 bytes":      func(c *identity.Config) { c.Secrets = [][]byte{make([]byte, 31)} },
		"tolerance of 61 s":       func(c *identity.Config) { c.Tolerance = 61 * time.Second },
		"negative tolerance":      func(c *identity.Config) { c.Tolerance = -time.Second },
		"lifetime of 301 s":       func(c *identity.Config) { c.MaxLifetime = 301 * time.Second },
		"lifetime under a second": func(c *identity.Config) { c.MaxLifetime = time.Millisecond },
	} {
		config := good
		edit(&config)
		if _, err := identity.New(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
