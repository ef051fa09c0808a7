package identitytest_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/identity"
	"github.com/countersign/countersign/packages/verifiers/go/identity/identitytest"
)

const token = "eyJ0eXAiOiJ0eG50b2tlbitqd3QifQ.eyJ0eG4iOiIxIn0.c2lnbmF0dXJl"

// newAgreement returns the keys of a service with one instance.
func newAgreement(tb testing.TB) *identity.AgreementKeys {
	tb.Helper()
	text, err := identity.NewAgreementKey()
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := identity.ParseAgreementKeys(text)
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func newVerifier(tb testing.TB, gateway *identitytest.Gateway, agreement *identity.AgreementKeys) *identity.Verifier {
	tb.Helper()
	replay := gateway.Replay()
	replay.MaxNonces = 1 << 30
	verifier, err := identity.New(identity.Config{
		Audience: "my-service", Keys: gateway.Keys(), Agreement: agreement, Replay: replay,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return verifier
}

var everyKind = []identity.Kind{
	identity.KindUser, identity.KindClient, identity.KindAnonymous, identity.KindService, identity.KindGateway,
}

func TestEveryCallerArrivesAsItWasSigned(t *testing.T) {
	user := &identity.User{ID: "u-1", Role: "agent", TenantID: "acme"}
	client := &identity.Client{ID: "c-1"}
	everything := identity.Context{
		IP: "2001:db8::7", Issuer: "https://issuer.example", Session: "s-1", AuthTime: time.Unix(0, 0),
		AuthMethods: []string{"pwd", "otp"}, KeyThumbprint: strings.Repeat("k", 43), Client: "app", Scopes: []string{"a", "b"},
		Roles: []string{"agent"}, Actor: &identity.Actor{Subject: "client-7", Issuer: "https://issuer.example"},
	}
	for name, caller := range map[string]identity.Identity{
		"a user":                {Kind: identity.KindUser, User: user, Context: everything, TxnToken: token},
		"a client":              {Kind: identity.KindClient, Client: client, TxnToken: token},
		"a client of a tenant":  {Kind: identity.KindClient, Client: &identity.Client{ID: "c-1", Role: "agent", TenantID: "acme"}},
		"an anonymous caller":   {Kind: identity.KindAnonymous, Context: identity.Context{IP: "192.0.2.7"}},
		"the gateway":           {Kind: identity.KindGateway},
		"a service":             {Kind: identity.KindService, ServiceID: "s-1"},
		"a service of a user":   {Kind: identity.KindService, ServiceID: "s-1", User: user, TxnToken: token},
		"a service of a client": {Kind: identity.KindService, ServiceID: "s-1", Client: client},
	} {
		for _, algorithm := range []string{"ed25519", "agreed"} {
			t.Run(name+"/"+algorithm, func(t *testing.T) {
				agreement := newAgreement(t)
				gateway := identitytest.NewGateway("my-service")
				if algorithm == "agreed" {
					if err := gateway.Agree(agreement); err != nil {
						t.Fatal(err)
					}
				}
				var got *identity.Identity
				handler := newVerifier(t, gateway, agreement).Handler(identity.Require(http.HandlerFunc(
					func(_ http.ResponseWriter, r *http.Request) { got, _ = identity.FromContext(r.Context()) }), everyKind...))
				r := httptest.NewRequest("POST", "/a?b=c", strings.NewReader("{}"))
				if err := gateway.Sign(r, caller); err != nil {
					t.Fatal(err)
				}
				handler.ServeHTTP(httptest.NewRecorder(), r)
				want := caller
				want.RequestID = r.Header.Get("X-Request-Id")
				if !reflect.DeepEqual(got, &want) {
					t.Fatalf("got %+v, expected %+v", got, want)
				}
				if isAgreed := strings.Contains(r.Header.Get("Signature-Input"), `alg="hmac-sha256"`); isAgreed != (algorithm == "agreed") {
					t.Error(r.Header.Get("Signature-Input"))
				}
			})
		}
	}
}

func TestCallersOutsideOfTheContractAreNotSigned(t *testing.T) {
	gateway := identitytest.NewGateway("my-service")
	user := identitytest.User
	user.User = &identity.User{ID: "u 1", Role: "member", TenantID: "t"}
	for name, caller := range map[string]identity.Identity{
		"an id with a space": user,
		"a user without one": {Kind: identity.KindUser},
		"no kind":            {},
	} {
		if err := gateway.Sign(httptest.NewRequest("GET", "/", nil), caller); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := gateway.Sign(httptest.NewRequest("GET", "/a/..;/b", nil), identitytest.User); err == nil {
		t.Error("a target: no error")
	}
}

func TestExpiredRequestIsRefused(t *testing.T) {
	gateway := identitytest.NewGateway("my-service")
	gateway.Now = func() time.Time { return time.Now().Add(-time.Minute) }
	r := httptest.NewRequest("GET", "/", nil)
	if err := gateway.Sign(r, identitytest.User); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	newVerifier(t, gateway, nil).Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	if reason := w.Header().Get("X-Identity-Refused"); reason != "expired" {
		t.Errorf("got %d %s", w.Code, reason)
	}
}

// A service works on a request of a user, and calls another service for that user.
func TestNestedCall(t *testing.T) {
	public, private, _ := ed25519.GenerateKey(nil)
	encode := base64.RawURLEncoding.EncodeToString
	jwk, _ := json.Marshal(map[string]string{
		"kty": "OKP", "crv": "Ed25519", "kid": "my-1", "x": encode(public), "d": encode(private.Seed()),
	})
	key, err := identity.ParseServiceKey(jwk)
	if err != nil {
		t.Fatal(err)
	}
	calls := identitytest.NewCalls("gateway-1", map[string]identitytest.Service{"my-1": {ID: "my-service", Key: public}})
	var arrived []string
	internal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call, err := calls.Verify(r)
		body, _ := io.ReadAll(r.Body)
		arrived = append(arrived, fmt.Sprint(call, err, r.Method, r.RequestURI, string(body)))
	}))
	defer internal.Close()
	address, _ := url.Parse(internal.URL)
	caller := http.Client{Transport: &identity.Transport{GatewayURL: address, GatewayName: "gateway-1", Key: key}}

	gateway := identitytest.NewGateway("my-service")
	handler := newVerifier(t, gateway, nil).Handler(identity.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		// With the request's context, it acts for the user. With another, for itself.
		for _, ctx := range []*http.Request{r, httptest.NewRequest("GET", "/", nil)} {
			call, _ := http.NewRequestWithContext(ctx.Context(), "POST", internal.URL+"/notes?a=b", strings.NewReader(`{"n":1}`))
			call.Header.Set("Content-Type", "application/json")
			response, err := caller.Do(call)
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
		}
	})))
	r := httptest.NewRequest("GET", "/", nil)
	user := identitytest.User
	user.TxnToken = token
	if err := gateway.Sign(r, user); err != nil {
		t.Fatal(err)
	}
	handler.ServeHTTP(httptest.NewRecorder(), r)
	want := []string{
		"{my-service " + token + "} <nil>POST/notes?a=b{\"n\":1}", "{my-service } <nil>POST/notes?a=b{\"n\":1}",
	}
	if !reflect.DeepEqual(arrived, want) {
		t.Errorf("got %q", arrived)
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { panic(status) }

// BenchmarkSignAndVerify makes a request, signs it as the gateway does, and verifies it in the middleware. It also
// reports requests per second of processor time, since other programs may use the processor too.
func BenchmarkSignAndVerify(b *testing.B) {
	for _, algorithm := range []string{"ed25519", "agreed"} {
		b.Run(algorithm, func(b *testing.B) {
			agreement := newAgreement(b)
			gateway := identitytest.NewGateway("my-service")
			if algorithm == "agreed" {
				if err := gateway.Agree(agreement); err != nil {
					b.Fatal(err)
				}
			}
			next := identity.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			handler := newVerifier(b, gateway, agreement).Handler(next)
			w := &discard{http.Header{}}
			target, _ := url.ParseRequestURI("/v1/complaints?status=open")
			caller := identitytest.User
			caller.Context = identity.Context{
				IP: "192.0.2.7", Issuer: "https://issuer.example", Session: "s-1", AuthTime: time.Unix(1_799_999_000, 0),
				AuthMethods: []string{"pwd", "otp"}, Client: "web",
			}
			b.ReportAllocs()
			before := processorTime()
			for b.Loop() {
				r := &http.Request{
					Method: "GET", RequestURI: "/v1/complaints?status=open", URL: target, Body: http.NoBody,
					Header: http.Header{"Accept": {"*/*"}, "User-Agent": {"benchmark"}, "X-Forwarded-For": {"192.0.2.1"}},
				}
				if err := gateway.Sign(r, caller); err != nil {
					b.Fatal(err)
				}
				handler.ServeHTTP(w, r)
			}
			b.ReportMetric(float64(b.N)/(processorTime()-before).Seconds(), "requests/cpu-s")
		})
	}
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
