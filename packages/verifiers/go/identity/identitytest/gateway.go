// Package identitytest signs requests as a Countersign gateway does, for the tests of a service.
package identitytest

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/identity"
	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// User is a user, for requests whose caller does not matter.
var User = identity.Identity{
	Kind: identity.KindUser, User: &identity.User{ID: "user-1", Role: "member", TenantID: "tenant-1"},
}

// Gateway signs requests for one service, with keys of this process. As an [http.Handler], it serves its key set.
type Gateway struct {
	// Now is the clock. Default: time.Now.
	Now func() time.Time

	audience, kid string
	signing       ed25519.PrivateKey
	agreement     *ecdh.PrivateKey
	document      []byte

	agreedID string // Empty: sign with ed25519.
	agreed   []byte
}

// NewGateway returns a gateway with new keys, which signs with ed25519.
func NewGateway(audience string) *Gateway {
	// Both fail only if the system has no random numbers, and then they end the program.
	public, signing, _ := ed25519.GenerateKey(nil)
	agreement, _ := ecdh.X25519().GenerateKey(rand.Reader)
	x := base64.RawURLEncoding.EncodeToString(public)
	g := &Gateway{Now: time.Now, audience: audience, kid: "test-" + x[:8], signing: signing, agreement: agreement}
	g.document, _ = json.Marshal(map[string]any{"keys": []map[string]string{
		{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": g.kid, "x": x},
		wire.AgreementJWK(agreement.PublicKey()),
	}})
	return g
}

// Keys returns the public keys, for [identity.Config].
func (g *Gateway) Keys() *identity.KeySet {
	set, err := identity.ParseKeySet(g.document)
	if err != nil {
		panic(err)
	}
	return set
}

// Replay returns a memory of nonces that began long ago, for [identity.Config].
func (g *Gateway) Replay() *identity.MemoryReplay {
	replay := identity.NewMemoryReplay()
	replay.GatewayAhead = -time.Hour
	return replay
}

func (g *Gateway) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Write(g.document)
}

// Agree makes the gateway sign with the key that it and the service derive.
func (g *Gateway) Agree(service *identity.AgreementKeys) error {
	var published struct{ Kid, X string }
	if err := json.Unmarshal(service.Published()[0], &published); err != nil {
		return err
	}
	x, _ := wire.Decode32(published.X)
	public, err := ecdh.X25519().NewPublicKey(x[:])
	if err != nil {
		return err
	}
	own := g.agreement.PublicKey()
	g.agreedID = wire.AgreementJWK(own)["kid"] + "." + published.Kid
	g.agreed, err = wire.Agree(g.agreement, public, own, public, g.audience)
	return err
}

// Sign adds the headers of the gateway to a request with this caller. Change the request afterwards to test that the
// service refuses it.
func (g *Gateway) Sign(r *http.Request, caller identity.Identity) error {
	return g.sign(r, caller, r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// SignStream is Sign for a path whose body gateway.yaml streams: the signature does not cover it.
func (g *Gateway) SignStream(r *http.Request, caller identity.Identity) error {
	return g.sign(r, caller, true)
}

func (g *Gateway) sign(r *http.Request, caller identity.Identity, isStream bool) error {
	h := wire.Headers{}
	set := func(name, value string) {
		if value != "" {
			h[name] = value
		}
	}
	h["x-request-id"] = wire.NewRequestID(g.Now())
	h["x-identity"] = string(caller.Kind)
	h["x-identity-audience"] = g.audience
	h["x-identity-context"] = contextText(caller.Context)
	set("x-service-id", caller.ServiceID)
	set("txn-token", caller.TxnToken)
	if user := caller.User; user != nil {
		set("x-user-id", user.ID)
		set("x-user-role", user.Role)
		set("x-tenant-id", user.TenantID)
	}
	if client := caller.Client; client != nil {
		set("x-client-id", client.ID)
		set("x-user-role", client.Role)
		set("x-tenant-id", client.TenantID)
	}
	set("upgrade", r.Header.Get("Upgrade"))
	set("sec-websocket-key", r.Header.Get("Sec-WebSocket-Key"))
	if !isStream {
		body, err := readBody(r)
		if err != nil {
			return err
		}
		set("content-type", r.Header.Get("Content-Type"))
		h["content-digest"] = wire.Digest(body)
	}
	covered, err := h.Check()
	if err != nil {
		return fmt.Errorf("identitytest: no service accepts this caller: %w", err)
	}
	draft := wire.Draft{
		Method: r.Method, Target: r.URL.RequestURI(), Created: g.Now().Unix(), Nonce: wire.NewNonce(),
		KeyID: g.kid, Algorithm: "ed25519", Tag: wire.RequestTag,
	}
	mac := func(base []byte) []byte { return ed25519.Sign(g.signing, base) }
	if g.agreedID != "" {
		draft.KeyID, draft.Algorithm = g.agreedID, "hmac-sha256"
		mac = func(base []byte) []byte { return wire.MAC(g.agreed, base) }
	}
	if err := h.Sign(covered, draft, mac); err != nil {
		return fmt.Errorf("identitytest: no service accepts this request: %w", err)
	}
	for name, value := range h {
		r.Header.Set(name, value)
	}
	return nil
}

// readBody reads the body and puts it back.
func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, err
}

func contextText(c identity.Context) string {
	var members []string
	add := func(name, value string) {
		if value != "" {
			members = append(members, name+`="`+value+`"`)
		}
	}
	addList := func(name string, items []string) {
		if len(items) > 0 {
			members = append(members, name+`=("`+strings.Join(items, `" "`)+`")`)
		}
	}
	add("ip", c.IP)
	add("iss", c.Issuer)
	add("sid", c.Session)
	if !c.AuthTime.IsZero() {
		members = append(members, fmt.Sprintf("auth-time=%d", c.AuthTime.Unix()))
	}
	addList("amr", c.AuthMethods)
	add("jkt", c.KeyThumbprint)
	add("client", c.Client)
	addList("scope", c.Scopes)
	addList("roles", c.Roles)
	if c.Actor != nil {
		add("act", c.Actor.Subject+`";iss="`+c.Actor.Issuer)
	}
	return strings.Join(members, ", ")
}
