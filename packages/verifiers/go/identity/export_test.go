package identity

// IdentityJSON is identitytest.IdentityJSON.
var IdentityJSON func(*Identity) map[string]any
