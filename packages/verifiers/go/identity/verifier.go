package identity

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// Config configures a [Verifier]. Audience, Replay, and Keys or Secrets are required.
type Config struct {
	// Audience is this service's name in gateway.yaml. A request signed for another service is refused.
	Audience string
	// Keys are the gateway's public keys: [RemoteKeys], or a [KeySet].
	Keys KeySource
	// TokenIssuer is identity.issuer of gateway.yaml, a slash, and Audience, for [Verifier.VerifyIdentityToken]. Keys are
	// then those of [ParseTokenKeySet], or [RemoteKeys] with Tokens, and the verifier verifies tokens alone.
	TokenIssuer string
	// Secrets are those that the gateway shares with this service alone, 32 bytes or more: the current one and, during
	// a rotation, the next.
	Secrets [][]byte
	// AgreementKeys also accepts keys that this service and the gateway derive from published keys: "memory" for a
	// service with one process, or the path of a directory for several.
	AgreementKeys string
	// Agreement replaces AgreementKeys: keys from elsewhere, such as a variable.
	Agreement *AgreementKeys
	// Replay remembers nonces.
	Replay ReplayStore
	// MaxBodyBytes is the largest body that is read into memory to check its digest, by default 1 MiB.
	MaxBodyBytes int64
	// Stream reports whether the body of a request may come without a digest, because gateway.yaml streams it. Decide by
	// method and path, never by a header.
	Stream func(*http.Request) bool
	// OnRefused is called for each request that is not accepted. The error is a [RefusedError], or says what is missing.
	OnRefused func(*http.Request, error)
	// Tolerance is how much the clocks of gateway and service may differ, by default 5 s and at most a minute.
	Tolerance time.Duration
	// MaxLifetime is the longest lifetime of a signature, by default a minute and at most five.
	MaxLifetime time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Verifier verifies that the gateway signed a request, recently, for this service, and that it is not a replay. It is
// safe for concurrent use.
type Verifier struct {
	config                 Config
	tolerance, maxLifetime int64             // Seconds.
	secrets                map[string][]byte // By keyid.
	agreed                 sync.Map          // Derived secrets by keyid. A kid is a hash of its key, so none ever changes.
}

// New returns a verifier, or an error that says what is wrong with the configuration.
func New(config Config) (*Verifier, error) {
	config.MaxBodyBytes = cmp.Or(config.MaxBodyBytes, 1<<20)
	config.Tolerance = cmp.Or(config.Tolerance, 5*time.Second)
	config.MaxLifetime = cmp.Or(config.MaxLifetime, time.Minute)
	if config.Now == nil {
		config.Now = time.Now
	}
	switch {
	case !wire.IsID(config.Audience):
		return nil, errors.New("identity: Config.Audience must be the service's name in gateway.yaml")
	case config.Replay == nil || config.Keys == nil && len(config.Secrets) == 0:
		return nil, errors.New("identity: Config needs Replay, and Keys or Secrets")
	case max(config.Tolerance, config.MaxLifetime/5) > time.Minute || config.Tolerance < 0 || config.MaxLifetime < time.Second:
		return nil, errors.New("identity: Config.Tolerance is 0 to 60 s, and Config.MaxLifetime 1 to 300 s")
	}
	v := &Verifier{
		config: config, secrets: make(map[string][]byte, len(config.Secrets)),
		tolerance: int64(config.Tolerance / time.Second), maxLifetime: int64(config.MaxLifetime / time.Second),
	}
	if config.AgreementKeys != "" {
		var err error
		if v.config.Agreement, err = openAgreementKeys(config.AgreementKeys, config.Audience); err != nil {
			return nil, err
		}
	}
	if own := v.config.Agreement; own != nil && slices.ContainsFunc(own.audiences, func(a any) bool { return a != config.Audience }) {
		return nil, errors.New("identity: a key for agreement is another service's: its aud is not Config.Audience")
	}
	for _, secret := range config.Secrets {
		keyid := secretKeyID(secret)
		if len(secret) < 32 || isPublished(keyid) {
			return nil, errors.New("identity: a secret needs 32 bytes or more, and must not be a published one")
		}
		v.secrets[keyid] = bytes.Clone(secret)
	}
	return v, nil
}

func secretKeyID(secret []byte) string {
	sum := sha256.Sum256(append([]byte("countersign hmac keyid\x00"), secret...))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:22]
}

// message is one request.
type message struct {
	method, target string
	lines          [][2]string // Header lines: names and values.
	isStream       bool
	headers        wire.Headers
	params         *wire.Params
}

// verifyHead verifies everything but the body and the nonce: rows 1 to 9 of section 7.
func (v *Verifier) verifyHead(ctx context.Context, m *message) (*Identity, error) {
	path, query, err := wire.SplitTarget(m.method, m.target)
	if err != nil {
		return nil, err
	}
	h, err := wire.ReadHeaders(m.lines)
	if err != nil {
		return nil, err
	}
	m.headers = h
	if m.params, err = h.Params(wire.RequestTag); err != nil {
		return nil, err
	}
	covered, err := h.Check()
	if err != nil {
		return nil, err
	}
	id := newIdentity(h)
	switch {
	case id == nil || h.Has("upgrade") && m.method != http.MethodGet:
		return nil, wire.Refused("header_malformed")
	case wire.List(covered) != m.params.List:
		return nil, wire.Refused("coverage_insufficient")
	case h["x-identity-audience"] != v.config.Audience:
		return nil, wire.Refused("audience_mismatch")
	}
	if err := m.params.CheckTimes(v.config.Now().Unix(), v.tolerance, v.maxLifetime); err != nil {
		return nil, err
	}
	if err := m.checkCoverage(h.HasBody()); err != nil {
		return nil, err
	}
	base := h.Base(covered, m.method, path, query, m.params.Raw)
	return id, v.checkSignature(ctx, m.params, base)
}

func (m *message) isReadMethod() bool {
	return m.method == http.MethodGet || m.method == http.MethodHead
}

// checkCoverage is cover(hasBody) of section 7.
func (m *message) checkCoverage(hasBody bool) error {
	if m.headers.Has("content-digest") {
		// The digest covers the encoded bytes and not the coding.
		if hasBody && m.headers.Has("content-encoding") && !strings.EqualFold(m.headers["content-encoding"], "identity") {
			return wire.Refused("header_malformed")
		}
		return nil
	}
	if !m.isStream && (hasBody || !m.isReadMethod()) {
		return wire.Refused("content_digest_missing")
	}
	return nil
}

// complete verifies the body and claims the nonce: rows 10 to 12.
func (v *Verifier) complete(ctx context.Context, m *message, body []byte) error {
	if err := m.checkBody(body); err != nil {
		return err
	}
	return v.claim(ctx, m)
}

func (m *message) checkBody(body []byte) error {
	// Over HTTP/2, no header has to announce it.
	if err := m.checkCoverage(m.headers.HasBody() || len(body) > 0); err != nil {
		return err
	}
	if m.headers.Has("content-digest") && m.headers["content-digest"] != wire.Digest(body) {
		return wire.Refused("content_digest_mismatch")
	}
	return nil
}

func (v *Verifier) claim(ctx context.Context, m *message) error {
	now := v.config.Now().Unix() // The body may have taken long.
	if err := m.params.CheckTimes(now, v.tolerance, v.maxLifetime); err != nil {
		return err
	}
	err := v.config.Replay.Claim(ctx, Claim{
		Audience: v.config.Audience, Nonce: m.params.Nonce, Created: m.params.Created, Now: now,
		// The clocks of two instances may differ from each other by twice the tolerance.
		KeepUntil: m.params.Expires + 3*v.tolerance, IsRead: m.isReadMethod() && !m.headers.Has("upgrade"),
	})
	if refused := RefusedError(""); err == nil || errors.As(err, &refused) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrReplayUnavailable, err)
}

// checkSignature is row 9. The key has the algorithm; the parameter only has to match it.
func (v *Verifier) checkSignature(ctx context.Context, p *wire.Params, base []byte) error {
	switch key, err := v.findKey(ctx, p.KeyID); {
	case err != nil:
		return err
	case key == nil:
		return wire.Refused("key_unknown")
	case key.algorithm != p.Algorithm:
		return wire.Refused("algorithm_mismatch")
	case !key.verify(base, p.Signature):
		return wire.Refused("signature_invalid")
	}
	return nil
}

// findKey returns the key of a keyid, or nil if it is unknown.
func (v *Verifier) findKey(ctx context.Context, keyid string) (*signatureKey, error) {
	if gateway, service, ok := wire.SplitAgreedKeyID(keyid); ok {
		secret, err := v.agreedSecret(ctx, keyid, gateway, service)
		return macKey(secret), err
	}
	kid, secret := keyid, v.secrets[keyid]
	if v.config.Keys == nil {
		return macKey(secret), nil
	}
	if secret != nil {
		kid = "" // Nothing to fetch.
	}
	set, err := v.config.Keys.KeySet(ctx, kid)
	switch {
	case set == nil:
		return nil, err
	case secret != nil && set.kids[keyid] > 0:
		return nil, nil // Otherwise the sender would choose between two keys.
	case secret != nil || set.signing[keyid] != nil:
		return cmp.Or(macKey(secret), set.signing[keyid]), nil
	}
	return nil, err
}

// agreedSecret returns the secret of an agreed key, or nil if either half of its keyid is unknown.
func (v *Verifier) agreedSecret(ctx context.Context, keyid, gateway, service string) ([]byte, error) {
	if v.config.Agreement == nil || v.config.Agreement.private[service] == nil || v.config.Keys == nil {
		return nil, nil
	}
	set, err := v.config.Keys.KeySet(ctx, gateway)
	if set == nil {
		return nil, err
	}
	// If fetches fail and the key is unknown, the gateway falls back to ed25519.
	public, own := set.agreement[gateway], v.config.Agreement.private[service]
	if public == nil {
		return nil, nil
	}
	if secret, ok := v.agreed.Load(keyid); ok {
		return secret.([]byte), nil
	}
	secret, err := wire.Agree(own, public, public, own.PublicKey(), v.config.Audience)
	if err != nil {
		return nil, nil // The public key has low order.
	}
	v.agreed.Store(keyid, secret)
	return secret, nil
}
