package verifier

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
)

var (
	reserved       = whole(`[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}`)
	publicValue    = whole(`[A-Za-z0-9_-]{43}`)
	privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
	// Anyone can sign for a public key of small order.
	smallOrder = []string{
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
		"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
		"JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU",
		"xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o", "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA_o",
		"7P_______________________________________38", "7P________________________________________8",
		"7f_______________________________________38", "7f________________________________________8",
		"7v_______________________________________38", "7v________________________________________8",
	}
)

// Published holds public keys, keyids of secrets and kids that are publicly known (section 3).
var Published = map[string]bool{
	"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo": true, "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw": true,
	"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs": true, "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo": true,
	"U9bVwaoNbrLMB2bPbpf6JVom4BMWhOBFYPyEUEHNKRI": true, "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08": true,
	"xE4XCiQL0mEBg93-U9M0c9DxpZunBQtdwZMBkIO3B1s": true, "-Rb4tPQ9C4JnWDHqY-yZg9vIKLdeEzNpKkSmaYJxGy4": true,
	"gTxSeAERRhcJhyVUsIwkMPR6Fp0vQseLBM7sgeETPSw": true, "gApfGpn1ROtQ5gov1mSutM": true,
	"_m6PbcqDvc2TLRHfP_UnuT": true, "lA0knehIId096pQAspBmpX": true, "u8eLw9SOHenbE9hjq4FTBY": true,
	"3PPNkOWE4K6DRrrWwZkMsI": true, "ddZH86t36liT6mwRuiFs2m": true, "ed-1": true, "ed-twice": true,
	"only-required-members": true, "alg-of-rfc-9864": true, "key-ops-verify": true,
	"key-ops-sign-and-verify": true, "other-members": true,
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:@|-": true, "vectors-complaint-1": true,
	"vectors-users-1": true, "test-key-rsa": true, "test-key-rsa-pss": true, "test-key-ecc-p256": true,
	"test-key-ed25519": true, "test-shared-secret": true,
	strings.Repeat("k", 128): true,
}

// AllowPublished is only for tests with the vectors.
var AllowPublished = false

func isPublished(values ...string) bool {
	return !AllowPublished && slices.ContainsFunc(values, func(value string) bool { return Published[value] })
}

func secretKeyid(secret []byte) string {
	sum := sha256.Sum256(append([]byte("countersign hmac keyid\x00"), secret...))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:22]
}

// KeySet returns the usable public keys of a key set by kid, or nil if the set must be refused as a whole.
func KeySet(document any) map[string]ed25519.PublicKey {
	set, _ := document.(map[string]any)
	entries, _ := set["keys"].([]any)
	if len(entries) > 100 {
		return nil
	}
	keys := []Key{}
	for _, entry := range entries {
		if key, isObject := entry.(map[string]any); isObject {
			keys = append(keys, key)
		}
	}
	return signingKeys(keys)
}

func signingKeys(keys []Key) map[string]ed25519.PublicKey {
	count := countKids(keys)
	public := map[string]ed25519.PublicKey{}
	for _, key := range keys {
		if kid, x := signingKey(key); x != nil && count[kid] == 1 {
			public[kid] = x
		}
	}
	return public
}

func countKids(keys []Key) map[string]int {
	count := map[string]int{}
	for _, key := range keys {
		if kid, isText := key["kid"].(string); isText {
			count[kid]++
		}
	}
	return count
}

// isInField reports whether y is below 2^255 - 19. The top bit is the sign of x.
func isInField(x []byte) bool {
	if x[31]&0x7f != 0x7f || x[0] < 0xed {
		return true
	}
	return slices.ContainsFunc(x[1:31], func(each byte) bool { return each != 0xff })
}

// signingKey returns the kid and the public key of an entry, or nil if section 3 says to ignore the entry.
func signingKey(key Key) (string, ed25519.PublicKey) {
	kid, isNamed := key["kid"].(string)
	x, _ := key["x"].(string)
	operations, isList := key.or("key_ops", []any{"verify"}).([]any)
	alg := key.or("alg", "EdDSA")
	isGood := isNamed && !reserved.MatchString(kid) && key["kty"] == "OKP" && key["crv"] == "Ed25519" &&
		(alg == "EdDSA" || alg == "Ed25519") && key.or("use", "sig") == "sig" &&
		isList && slices.Contains(operations, any("verify")) &&
		publicValue.MatchString(x) && !slices.Contains(smallOrder, x)
	for _, member := range privateMembers {
		_, isPrivate := key[member]
		isGood = isGood && !isPrivate
	}
	if !isGood {
		return kid, nil
	}
	bytes, err := base64.RawURLEncoding.Strict().DecodeString(x)
	if err != nil || !isInField(bytes) || isPublished(kid, x) {
		return kid, nil
	}
	return kid, bytes
}

// or returns a member of the entry, or the default value if the entry has no such member.
func (k Key) or(member string, absent any) any {
	if value, isThere := k[member]; isThere {
		return value
	}
	return absent
}
