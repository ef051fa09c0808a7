package verifier

import (
	"crypto/ed25519"
	"encoding/base64"
	"slices"
)

var (
	reserved       = whole(`[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}`)
	publicValue    = whole(`[A-Za-z0-9_-]{43}`)
	privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
	// Anyone can sign under a public key of small order.
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

// signingKey returns the kid and the public key of an entry, or nil where section 3 says to ignore the entry.
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
	if err != nil {
		return kid, nil
	}
	return kid, bytes
}

// or returns a member of the entry, or this value where the entry has no such member.
func (k Key) or(member string, absent any) any {
	if value, isThere := k[member]; isThere {
		return value
	}
	return absent
}
