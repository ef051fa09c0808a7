package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

type tokenDelivery struct {
	Token   string
	Request vectorRequest
}

type tokenVector struct {
	tokenDelivery
	Name            string
	Now             int64
	Stream          bool
	DeliveredBefore int `json:"delivered_before"`
	Before          []tokenDelivery
	Library, Req    string
	Identity        map[string]any
	Refused         string
}

func tokenVectors(t *testing.T) (Config, []tokenVector) {
	t.Helper()
	var file struct {
		Verifier struct {
			Issuer, Audience string
			ToleranceSec     int64 `json:"tolerance_sec"`
		}
		JWKS    json.RawMessage
		Vectors []tokenVector
	}
	readVectors(t, "identity-token-vectors.json", &file)
	keys, err := ParseTokenKeySet(file.JWKS)
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) != 50 {
		t.Fatalf("%d vectors", len(file.Vectors))
	}
	return Config{
		TokenIssuer: file.Verifier.Issuer, Audience: file.Verifier.Audience, Keys: keys,
		Tolerance: time.Duration(file.Verifier.ToleranceSec) * time.Second,
	}, file.Vectors
}

func (v tokenVector) message(r vectorRequest) *message {
	return &message{method: string(r.Method), target: string(r.Target), lines: r.lines(), isStream: v.Stream}
}

func TestIdentityTokenVectors(t *testing.T) {
	base, all := tokenVectors(t)
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			config := base
			config.Replay, config.Now = newMemoryReplay(0), func() time.Time { return time.Unix(v.Now, 0) }
			verifier := newVerifier(t, config)
			deliver := func(d tokenDelivery) (*Identity, error) {
				return verifier.verifyToken(context.Background(), d.Token, v.message(d.Request), d.Request.BodyBase64)
			}
			for _, before := range v.Before {
				_, _ = deliver(before)
			}
			for range v.DeliveredBefore {
				_, _ = deliver(v.tokenDelivery)
			}
			id, err := deliver(v.tokenDelivery)
			if v.Refused != "" {
				if err != RefusedError(v.Refused) {
					t.Fatalf("got %v, expected %s", err, v.Refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			form := vectorForm(t, id)
			form["claims"] = id.Claims
			if claims, _ := v.Identity["claims"].(map[string]any); !reflect.DeepEqual(id.Claims, claims) {
				t.Fatalf("claims %v, expected %v", id.Claims, claims)
			}
			delete(form, "claims")
			delete(v.Identity, "claims")
			if !reflect.DeepEqual(form, v.Identity) {
				t.Fatalf("got %v, expected %v", form, v.Identity)
			}
		})
	}
}

func TestCheckOfReqAlone(t *testing.T) {
	_, all := tokenVectors(t)
	for _, v := range all {
		if v.Library == "refuse" || v.Refused == string(ErrReplayed) {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			var claims map[string]any
			payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(v.Token, ".")[1])
			if err := json.Unmarshal(payload, &claims); err != nil {
				t.Fatal(err)
			}
			req, isBound := claims["req"].(map[string]any)
			err := v.message(v.Request).checkRequest(req, v.Request.BodyBase64)
			if isAccepted := isBound && v.Req == "accept"; (err == nil) != isAccepted {
				t.Fatalf("got %v", err)
			}
		})
	}
}

const tokenNow = 1_800_000_000

var tokenPrivate, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)

func tokenEntry() map[string]any {
	var x, y [32]byte
	tokenPrivate.X.FillBytes(x[:])
	tokenPrivate.Y.FillBytes(y[:])
	return map[string]any{"kty": "EC", "crv": "P-256", "kid": "key-1", "x": encode(x), "y": encode(y)}
}

func keysOf(t *testing.T, entries ...map[string]any) *KeySet {
	t.Helper()
	document, _ := json.Marshal(map[string]any{"keys": entries})
	keys, err := ParseTokenKeySet(document)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func with(members map[string]any, name string, value any) map[string]any {
	changed := maps.Clone(members)
	changed[name] = value
	return changed
}

func claims() map[string]any {
	return map[string]any{
		"iss": "https://gateway.test/orders", "aud": "orders", "sub": "u-1", "caller": "user", "user_id": "u-1",
		"role": "agent", "tenant_id": "acme", "iat": tokenNow, "nbf": tokenNow, "exp": tokenNow + 30,
		"jti": "AAECAwQFBgcICQoLDA0ODw", "req": map[string]any{"m": "GET", "t": "/orders?a=b"},
	}
}

func signedToken(t *testing.T, header, payload map[string]any) string {
	t.Helper()
	var parts [2]string
	for i, part := range []map[string]any{header, payload} {
		text, _ := json.Marshal(part)
		parts[i] = base64.RawURLEncoding.EncodeToString(text)
	}
	signed := parts[0] + "." + parts[1]
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, tokenPrivate, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature[:])
}

func tokenHeader() map[string]any {
	return map[string]any{"alg": "ES256", "typ": "JWT", "kid": "key-1"}
}

func newVerifier(t *testing.T, config Config) *Verifier {
	t.Helper()
	verifier, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

func tokenConfig(t *testing.T) Config {
	return Config{
		TokenIssuer: "https://gateway.test/orders", Audience: "orders", Keys: keysOf(t, tokenEntry()),
		Replay: newMemoryReplay(0), Now: func() time.Time { return time.Unix(tokenNow, 0) },
	}
}

func TestANonceAndAJTIInOneMemoryAreDifferent(t *testing.T) {
	config, token := tokenConfig(t), signedToken(t, tokenHeader(), claims())
	verifier, r := newVerifier(t, config), httptest.NewRequest("GET", "/orders?a=b", nil)
	nonce := Claim{Audience: "orders", Nonce: "AAECAwQFBgcICQoLDA0ODw", Created: tokenNow, KeepUntil: tokenNow + 45, Now: tokenNow}
	if err := config.Replay.Claim(r.Context(), nonce); err != nil {
		t.Fatal(err)
	}
	if id, err := verifier.VerifyIdentityToken(token, r, nil); err != nil || id.User.ID != "u-1" || !wire.IsUUIDv7(id.RequestID) {
		t.Fatal(id, err)
	}
	if _, err := verifier.VerifyIdentityToken(token, r, nil); err != ErrReplayed {
		t.Fatal(err)
	}
	nonce.Nonce = "jti:" + nonce.Nonce
	if err := config.Replay.Claim(r.Context(), nonce); err != ErrReplayed {
		t.Fatal(err)
	}
	config.Replay = newMemoryReplay(tokenNow + 1)
	if _, err := newVerifier(t, config).VerifyIdentityToken(token, r, nil); err != ErrCreatedBeforeStart {
		t.Fatal(err)
	}
}

func TestOtherFormsOfATokenAreRefused(t *testing.T) {
	config, token := tokenConfig(t), signedToken(t, tokenHeader(), claims())
	deep := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("[", 3000)))
	for text, reason := range map[string]string{
		"":                   "signature_missing",
		token + ", " + token: "signature_malformed",
		token + "=":          "signature_invalid",
		token + "\n":         "signature_invalid",
		"é" + token:          "signature_malformed",
		strings.Split(token, ".")[0] + "." + deep + ".AAAA":                           "signature_malformed",
		signedToken(t, tokenHeader(), with(claims(), "x", strings.Repeat("x", 4000))): "signature_malformed",
		signedToken(t, with(tokenHeader(), "crit", []string{"x"}), claims()):          "tag_mismatch",
		signedToken(t, with(tokenHeader(), "kid", 7), claims()):                       "key_unknown",
	} {
		_, err := newVerifier(t, config).VerifyIdentityToken(text, httptest.NewRequest("GET", "/orders?a=b", nil), nil)
		if err != RefusedError(reason) {
			t.Errorf("%.60s: got %v, expected %s", text, err, reason)
		}
	}
}

func TestClaimsOfAnotherFormAreRefused(t *testing.T) {
	for _, each := range []struct {
		name  string
		value any
	}{
		{"exp", "text"}, {"nbf", nil}, {"iat", 1.5}, {"user_id", 7}, {"role", "Not A Role"}, {"tenant_id", nil},
		{"caller", nil}, {"caller", "gateway"}, {"caller", "service"}, {"auth_time", "1"}, {"auth_time", -1},
		{"amr", "pwd"}, {"amr", []int{1}}, {"act", map[string]any{"sub": "client-2"}}, {"act", "client-2"},
		{"scope", []string{"a"}}, {"jkt", "short"}, {"jti", "short"}, {"jti", []string{"a"}}, {"req", nil}, {"req", "GET"},
	} {
		token := signedToken(t, tokenHeader(), with(claims(), each.name, each.value))
		_, err := newVerifier(t, tokenConfig(t)).VerifyIdentityToken(token, httptest.NewRequest("GET", "/orders?a=b", nil), nil)
		if refused := RefusedError(""); !errors.As(err, &refused) {
			t.Errorf("%s %v: %v", each.name, each.value, err)
		}
	}
}

func TestOtherKeysAreNotUsedForTokens(t *testing.T) {
	entry, config := tokenEntry(), tokenConfig(t)
	beside := with(entry, "kid", "beside")
	for _, other := range []map[string]any{
		with(entry, "d", entry["x"]), with(entry, "use", "enc"), with(entry, "alg", "ES384"), with(entry, "crv", "P-384"),
		with(entry, "y", entry["x"]), with(entry, "x", base64.RawURLEncoding.EncodeToString(make([]byte, 33))),
		{"kty": "OKP", "crv": "Ed25519", "x": entry["x"], "kid": "key-1"},
	} {
		config.Keys = keysOf(t, other, beside)
		token := signedToken(t, tokenHeader(), claims())
		_, err := newVerifier(t, config).VerifyIdentityToken(token, httptest.NewRequest("GET", "/orders?a=b", nil), nil)
		if err != RefusedError("key_unknown") {
			t.Errorf("%v: %v", other, err)
		}
	}
	document, _ := json.Marshal(map[string]any{"keys": []any{entry}})
	if _, err := ParseKeySet(document); err == nil {
		t.Error("a key for tokens is used for headers")
	}
	if _, err := ParseTokenKeySet(keySetDocument("ed-new")); err == nil {
		t.Error("a key for headers is used for tokens")
	}
}

func TestKeysForTokensAreFetched(t *testing.T) {
	entries := []any{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": entries})
	}))
	defer server.Close()
	verify := func() error {
		keys, err := NewRemoteKeys(RemoteConfig{URL: server.URL, Tokens: true})
		if err != nil {
			t.Fatal(err)
		}
		config := tokenConfig(t)
		config.Keys = keys
		r := httptest.NewRequest("POST", "/orders", strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		sum := sha256.Sum256([]byte("{}"))
		req := map[string]any{"m": "POST", "t": "/orders", "c": "application/json", "d": encode(sum)}
		_, err = newVerifier(t, config).VerifyIdentityToken(signedToken(t, tokenHeader(), with(claims(), "req", req)), r, []byte("{}"))
		if checked := CheckTokenRequest(map[string]any{"req": req}, r, []byte("{}"), nil); checked != nil {
			t.Error(checked)
		}
		return err
	}
	if err := verify(); !errors.Is(err, ErrKeysUnavailable) {
		t.Fatal(err)
	}
	entries = append(entries, tokenEntry())
	if err := verify(); err != nil {
		t.Fatal(err)
	}
}
