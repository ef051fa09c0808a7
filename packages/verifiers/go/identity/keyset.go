package identity

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// KeySource holds the gateway's public keys. [RemoteKeys] fetches them; a [KeySet] is a source that never changes.
type KeySource interface {
	// KeySet returns the newest key set. For a kid that it does not have, the source may fetch another set first; an
	// empty kid never needs one. With a set, the error means that the set may lack a new key. Without a set, nothing
	// can be verified.
	KeySet(ctx context.Context, kid string) (*KeySet, error)
}

// KeySet is a JWK set (RFC 7517) of a gateway. It holds the keys that may be used, and the kids of all.
type KeySet struct {
	signing   map[string]*signatureKey
	agreement map[string]*ecdh.PublicKey
	kids      map[string]int // How many entries have a kid, usable or not.
}

// KeySet implements [KeySource].
func (s *KeySet) KeySet(context.Context, string) (*KeySet, error) { return s, nil }

func (s *KeySet) has(kid string) bool {
	return kid == "" || s.signing[kid] != nil || s.agreement[kid] != nil
}

// ParseKeySet reads a JWK set. It ignores entries that the contract does not allow, and fails if no ed25519 key is left.
func ParseKeySet(document []byte) (*KeySet, error) { return parseKeySet(document, (*KeySet).addKey) }

// ParseTokenKeySet is ParseKeySet for identity tokens, whose keys are for ES256 alone.
func ParseTokenKeySet(document []byte) (*KeySet, error) {
	return parseKeySet(document, (*KeySet).addTokenKey)
}

// signatureKey verifies signatures of its one algorithm.
type signatureKey struct {
	algorithm string
	verify    func(base, signature []byte) bool
}

func macKey(secret []byte) *signatureKey {
	if secret == nil {
		return nil
	}
	return &signatureKey{"hmac-sha256", func(base, mac []byte) bool { return hmac.Equal(wire.MAC(secret, base), mac) }}
}

func (s *KeySet) addKey(kid string, key jwk) {
	if x, ok := key.signingKey(); ok {
		s.signing[kid] = &signatureKey{"ed25519", func(base, sig []byte) bool { return ed25519.Verify(x, base, sig) }}
	}
	if public, err := key.agreementKey(); err == nil {
		s.agreement[kid] = public
	}
}

func parseKeySet(document []byte, add func(s *KeySet, kid string, key jwk)) (*KeySet, error) {
	// Not a struct: its members would match in any case, and an absent member would look like null.
	var set map[string]any
	document = bytes.TrimPrefix(document, []byte("\ufeff"))
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber() // A number that does not fit is no reason to refuse the keys.
	if !json.Valid(document) || !utf8.Valid(document) || decoder.Decode(&set) != nil {
		return nil, errors.New("identity: the key set is not a JSON object")
	}
	entries, ok := set["keys"].([]any)
	if !ok || len(entries) > 100 {
		return nil, errors.New("identity: a key set needs a list of at most 100 keys")
	}
	s := &KeySet{map[string]*signatureKey{}, map[string]*ecdh.PublicKey{}, map[string]int{}}
	for _, entry := range entries {
		if kid, ok := asJWK(entry)["kid"].(string); ok {
			s.kids[kid]++
		}
	}
	for _, entry := range entries {
		key := asJWK(entry)
		kid, _ := key["kid"].(string)
		_, _, isReserved := wire.SplitAgreedKeyID(kid)
		// Neither of two entries with one kid is used: otherwise their order would decide.
		if !wire.IsKID(kid) || s.kids[kid] != 1 || isReserved || isPublished(kid) {
			continue
		}
		add(s, kid, key)
	}
	if len(s.signing) == 0 {
		return nil, errors.New("identity: the key set has no usable key")
	}
	return s, nil
}

// jwk has the members of a JWK. A member that is null is present.
type jwk map[string]any

// asJWK returns the members of an object. Another value has none.
func asJWK(value any) jwk {
	members, _ := value.(map[string]any)
	return members
}

func (k jwk) has(member string) bool {
	_, ok := k[member]
	return ok
}

// or returns a member, or a default if it is absent.
func (k jwk) or(member string, absent any) any {
	if k.has(member) {
		return k[member]
	}
	return absent
}

// mayVerify reports whether it is a public key of this form and for one of these algorithms.
func (k jwk) mayVerify(kty, crv string, algs ...any) bool {
	isPrivate := slices.ContainsFunc([]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}, k.has)
	operations, _ := k.or("key_ops", []any{"verify"}).([]any)
	x, _ := k["x"].(string)
	return !isPrivate && k["kty"] == kty && k["crv"] == crv && k.or("use", "sig") == "sig" &&
		slices.Contains(algs, k.or("alg", algs[0])) && slices.Contains(operations, any("verify")) && !isPublished(x)
}

func (s *KeySet) addTokenKey(kid string, k jwk) {
	textX, _ := k["x"].(string)
	textY, _ := k["y"].(string)
	x, isX := wire.Decode32(textX)
	y, isY := wire.Decode32(textY)
	point := append(append([]byte{4}, x[:]...), y[:]...) // SEC 1 section 2.3.3.
	if _, err := ecdh.P256().NewPublicKey(point); err == nil && isX && isY && k.mayVerify("EC", "P-256", "ES256") {
		public := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x[:]), Y: new(big.Int).SetBytes(y[:])}
		s.signing[kid] = &signatureKey{"ES256", func(base, sig []byte) bool {
			sum := sha256.Sum256(base)
			return len(sig) == 64 &&
				ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
		}}
	}
}

// signingKey returns the key if section 3 of the contract allows it.
func (k jwk) signingKey() (ed25519.PublicKey, bool) {
	x, _ := k["x"].(string)
	value, ok := wire.Decode32(x)
	y := value
	y[31] &= 0x7f // The top bit is the sign of the other coordinate.
	return value[:], ok && k.mayVerify("OKP", "Ed25519", "EdDSA", "Ed25519") &&
		isInField(y) && !slices.Contains(smallOrder, encode(y))
}

// agreementKey returns the key if docs/agreed-keys.md allows it.
func (k jwk) agreementKey() (*ecdh.PublicKey, error) {
	x, _ := k["x"].(string)
	value, ok := wire.Decode32(x)
	if k.has("d") || k["kty"] != "OKP" || k["crv"] != "X25519" || k["use"] != "enc" ||
		k["alg"] != wire.AgreedAlgorithm || !ok || !isInField(value) || slices.Contains(lowOrder, x) || isPublished(x) ||
		k["kid"] != wire.Thumbprint(x) {
		return nil, errors.New("not a public X25519 JWK for agreement")
	}
	return ecdh.X25519().NewPublicKey(value[:])
}

// Points of small order, in canonical form and without the sign. Anyone can sign for such an ed25519 key, and an X25519
// agreement with one does not depend on the private key.
var (
	smallOrder = []string{
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
		"7P_______________________________________38",
	}
	lowOrder = []string{
		smallOrder[0], smallOrder[1], smallOrder[4],
		"4Ot6fDtBuK4WVuP68Z_EatoJjeucMrH9hmIFFl9JuAA", "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc",
	}
)

// isInField reports whether a value, least significant byte first, is below 2^255 - 19.
func isInField(value [32]byte) bool {
	slices.Reverse(value[:])
	return string(value[:]) < "\x7f"+strings.Repeat("\xff", 30)+"\xed"
}

func encode(value [32]byte) string { return base64.RawURLEncoding.EncodeToString(value[:]) }

// Public keys, kids and keyids of secrets whose private halves everybody has: those of the contract's vectors and of the
// RFCs that they come from. A test compares the file with vectors.json.
//
//go:embed published.txt
var publishedText string

var published = strings.Split(strings.TrimSuffix(publishedText, "\n"), "\n")

// allowPublished is set only by this package's own tests, which run the vectors.
var allowPublished = false

func isPublished(name string) bool { return !allowPublished && slices.Contains(published, name) }
