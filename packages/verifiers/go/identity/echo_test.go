package identity_test

import (
	"github.com/countersign/countersign/packages/verifiers/go/identity"
	"github.com/countersign/countersign/packages/verifiers/go/identity/identitytest"
)

// The tests inside of package identity cannot import identitytest, which imports that package.
func init() { identity.IdentityJSON = identitytest.IdentityJSON }
