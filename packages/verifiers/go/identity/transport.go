package identity

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// ServiceKey is the ed25519 key of this service, whose public half gateway.yaml names under `services`.
type ServiceKey struct {
	id      string
	private ed25519.PrivateKey
}

// ParseServiceKey reads a private JWK (RFC 8037) with a kid.
func ParseServiceKey(text []byte) (*ServiceKey, error) {
	var key jwk
	err := json.Unmarshal(text, &key)
	kid, _ := key["kid"].(string)
	x, _ := key["x"].(string)
	d, _ := key["d"].(string)
	seed, ok := wire.Decode32(d)
	private := ed25519.NewKeyFromSeed(seed[:])
	if err != nil || key["kty"] != "OKP" || key["crv"] != "Ed25519" || !ok || x != encode([32]byte(private[32:])) ||
		!wire.IsID(kid) || isPublished(kid) || isPublished(x) {
		// Without err, which could quote the key.
		return nil, errors.New("identity: the service's key is not an ed25519 private JWK with a kid, or is a published one")
	}
	return &ServiceKey{kid, private}, nil
}

// Transport signs calls to other services through the gateway's internal listener: docs/nested-calls.md. A call whose
// context is that of a verified request acts for the user or client of that request. Another call acts for the service
// itself.
//
// A Transport refuses requests to other hosts, and redirects: a signature is valid for one target.
type Transport struct {
	// GatewayURL is the gateway's internal listener, for example http://127.0.0.1:8090.
	GatewayURL *url.URL
	// GatewayName is the identity.name of gateway.yaml. Default: countersign-gateway.
	GatewayName string
	// Key is this service's own key.
	Key *ServiceKey
	// Base makes the requests. Default: http.DefaultTransport.
	Base http.RoundTripper
}

// RoundTrip implements [http.RoundTripper]. It reads the body into memory.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	var err error
	if r.Body != nil {
		body, err = io.ReadAll(r.Body)
		err = errors.Join(err, r.Body.Close())
	}
	switch {
	case err != nil:
		return nil, err
	case t.GatewayURL == nil || t.Key == nil:
		return nil, errors.New("identity: Transport needs GatewayURL and Key")
	case r.URL.Scheme != t.GatewayURL.Scheme || r.URL.Host != t.GatewayURL.Host:
		return nil, fmt.Errorf("identity: calls go to %s alone, not to %s", t.GatewayURL.Host, r.URL.Host)
	case r.Response != nil: // The answer that redirected here.
		return nil, errors.New("identity: a signed call does not follow a redirect")
	}
	signed := r.Clone(r.Context())
	signed.Body, signed.ContentLength = http.NoBody, int64(len(body))
	if len(body) > 0 {
		signed.Body = io.NopCloser(bytes.NewReader(body))
	}
	if err := t.sign(signed, body); err != nil {
		return nil, fmt.Errorf("identity: the gateway refuses such a call: %w", err)
	}
	return cmp.Or(t.Base, http.DefaultTransport).RoundTrip(signed)
}

func (t *Transport) sign(r *http.Request, body []byte) error {
	h := wire.Headers{}
	h["x-identity-audience"] = cmp.Or(t.GatewayName, "countersign-gateway")
	h["content-digest"] = wire.Digest(body)
	if id, ok := r.Context().Value(verifiedKey{}).(*Identity); ok && id.TxnToken != "" {
		h["txn-token"] = id.TxnToken
	}
	if given := r.Header["Content-Type"]; len(given) > 0 {
		h["content-type"] = given[0]
	}
	draft := wire.Draft{Method: r.Method, Target: r.URL.RequestURI(), Created: time.Now().Unix(), Nonce: wire.NewNonce()}
	err := t.Key.sign(h, draft)
	for name, value := range h {
		r.Header.Set(name, value)
	}
	return err
}

// sign signs a nested call with these headers.
func (k *ServiceKey) sign(h wire.Headers, draft wire.Draft) error {
	covered, err := h.CheckCall()
	if err != nil {
		return err
	}
	draft.KeyID, draft.Algorithm, draft.Tag = k.id, "ed25519", wire.CallTag
	return h.Sign(covered, draft, func(base []byte) []byte { return ed25519.Sign(k.private, base) })
}
