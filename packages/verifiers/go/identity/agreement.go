package identity

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// AgreementKeys are this service's X25519 keys, from which the gateway and the service derive HMAC keys:
// docs/agreed-keys.md. All instances of a service have the same ones.
//
// AgreementKeys is an [http.Handler] that publishes the first key. [Verifier.Handler] serves it at /.well-known/jwks.json
// if your handler responds with 404 there.
type AgreementKeys struct {
	private   map[string]*ecdh.PrivateKey // By kid.
	published json.RawMessage
	audiences []any // Those that keys name.
}

// NewAgreementKey makes a private key, as a JWK for [ParseAgreementKeys]. A key that is not stored is for a service with
// one instance: after each restart, the gateway signs with ed25519 until it has fetched the new one.
func NewAgreementKey() ([]byte, error) { return newAgreementKey(nil) }

func newAgreementKey(more map[string]any) ([]byte, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	key := map[string]any{"d": encode([32]byte(private.Bytes()))}
	for name, value := range wire.AgreementJWK(private.PublicKey()) {
		key[name] = value
	}
	maps.Copy(key, more)
	return json.Marshal(key)
}

// openAgreementKeys makes a key in memory, or reads the one in a directory, where the first process makes it.
func openAgreementKeys(place, audience string) (*AgreementKeys, error) {
	key, err := newAgreementKey(map[string]any{"aud": audience, "iat": time.Now().Unix()})
	if path := filepath.Join(place, "agreement-1.jwk.json"); err == nil && place != "memory" {
		temporary := filepath.Join(place, rand.Text()+".new")
		err = errors.Join(os.MkdirAll(place, 0o700), os.WriteFile(temporary, key, 0o600))
		// Fails if the file exists. No process reads a file that is half written.
		_ = os.Link(temporary, path)
		_ = os.Remove(temporary)
		if info, statErr := os.Stat(path); statErr == nil && info.Mode().Perm()&0o077 != 0 {
			err = fmt.Errorf("identity: %s: others may read this key: chmod 600", path)
		} else if err == nil {
			key, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return nil, err
	}
	return ParseAgreementKeys(key)
}

// ParseAgreementKeys reads a private JWK, or a JWK set of them. The first key is published, and all are accepted. To
// replace a key, add the new one at the end on all instances, then move it to the front, and remove the old one 90
// minutes later.
func ParseAgreementKeys(text []byte) (*AgreementKeys, error) {
	var given jwk
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, errors.New("identity: the keys for agreement are not a JSON object") // err could quote a key.
	}
	entries, _ := given.or("keys", []any{map[string]any(given)}).([]any)
	if len(entries) == 0 {
		return nil, errors.New("identity: the set of keys for agreement is empty")
	}
	k := &AgreementKeys{private: make(map[string]*ecdh.PrivateKey, len(entries))}
	for i, entry := range entries {
		private, err := asJWK(entry).privateAgreementKey()
		if err != nil {
			return nil, fmt.Errorf("identity: key %d for agreement: %w", i+1, err)
		}
		public := wire.AgreementJWK(private.PublicKey())
		k.private[public["kid"]] = private
		if aud, ok := asJWK(entry)["aud"]; ok {
			k.audiences = append(k.audiences, aud)
			public["aud"] = fmt.Sprint(aud)
		}
		if i == 0 {
			k.published, _ = json.Marshal(public) // Strings always have a JSON form.
		}
	}
	return k, nil
}

func (k jwk) privateAgreementKey() (*ecdh.PrivateKey, error) {
	half := maps.Clone(k)
	delete(half, "d")
	public, err := half.agreementKey()
	if err != nil {
		return nil, err
	}
	d, _ := k["d"].(string)
	scalar, ok := wire.Decode32(d)
	private, err := ecdh.X25519().NewPrivateKey(scalar[:])
	if !ok || err != nil || !private.PublicKey().Equal(public) {
		return nil, errors.New("x does not belong to d")
	}
	return private, nil
}

// Published returns the published JWKs, for a service that has a key set of its own and appends them.
func (k *AgreementKeys) Published() []json.RawMessage { return []json.RawMessage{k.published} }

// ServeHTTP publishes the key.
func (k *AgreementKeys) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=60") // Short, so that the gateway finds a new key.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(fmt.Appendf(nil, `{"keys":[%s]}`, k.published)))
}
