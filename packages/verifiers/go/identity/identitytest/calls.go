package identitytest

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/identity"
	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// Calls verifies nested calls as the gateway's internal listener does. A test listens there in the gateway's place.
type Calls struct {
	// GatewayName is the identity.name of gateway.yaml.
	GatewayName string
	// Services are the public keys of the calling services, by the kid of each.
	Services map[string]Service
	// Now is the clock. Default: time.Now.
	Now func() time.Time

	replay *identity.MemoryReplay
}

// Service is the caller of a nested call, as gateway.yaml names it.
type Service struct {
	ID  string
	Key ed25519.PublicKey
}

// Call is a verified nested call. TxnToken is empty if the service acts for itself.
type Call struct{ ServiceID, TxnToken string }

// NewCalls returns a verifier for the gateway of this name.
func NewCalls(gatewayName string, services map[string]Service) *Calls {
	replay := identity.NewMemoryReplay()
	replay.GatewayAhead = -time.Hour
	return &Calls{GatewayName: gatewayName, Services: services, Now: time.Now, replay: replay}
}

// Verify verifies a call and reads its body.
func (c *Calls) Verify(r *http.Request) (Call, error) {
	var lines [][2]string
	for name, values := range r.Header {
		for _, value := range values {
			lines = append(lines, [2]string{name, value})
		}
	}
	body, err := readBody(r)
	if err != nil {
		return Call{}, err
	}
	return c.verify(r.Context(), r.Method, r.RequestURI, lines, body)
}

func (c *Calls) verify(ctx context.Context, method, target string, lines [][2]string, body []byte) (Call, error) {
	path, query, err := wire.SplitTarget(method, target)
	if err != nil {
		return Call{}, err
	}
	h, err := wire.ReadHeaders(lines)
	if err != nil {
		return Call{}, err
	}
	params, err := h.Params(wire.CallTag)
	if err != nil {
		return Call{}, err
	}
	covered, err := h.CheckCall()
	if err != nil {
		return Call{}, err
	}
	now := c.Now().Unix()
	if wire.List(covered) != params.List {
		return Call{}, wire.Refused("coverage_insufficient")
	}
	if h["x-identity-audience"] != c.GatewayName {
		return Call{}, wire.Refused("audience_mismatch")
	}
	if err := params.CheckTimes(now, 5, 30); err != nil {
		return Call{}, err
	}
	service, isKnown := c.Services[params.KeyID]
	switch {
	case !isKnown:
		return Call{}, wire.Refused("key_unknown")
	case params.Algorithm != "ed25519":
		return Call{}, wire.Refused("algorithm_mismatch")
	case !ed25519.Verify(service.Key, h.Base(covered, method, path, query, params.Raw), params.Signature):
		return Call{}, wire.Refused("signature_invalid")
	case h["content-digest"] != wire.Digest(body):
		return Call{}, wire.Refused("content_digest_mismatch")
	}
	return Call{service.ID, h["txn-token"]}, c.replay.Claim(ctx, identity.Claim{
		Audience: c.GatewayName, Nonce: params.Nonce, Created: params.Created, KeepUntil: params.Expires + 15, Now: now,
	})
}
