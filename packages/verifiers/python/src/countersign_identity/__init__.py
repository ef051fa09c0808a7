"""Verify that a request came through a Countersign gateway, and who sent it: docs/identity-contract.md."""

from ._keys.agreement import AgreementKeys as AgreementKeys
from ._keys.agreement import new_agreement_jwk as new_agreement_jwk
from .errors import IdentityNotAllowed as IdentityNotAllowed
from .errors import IdentityRefused as IdentityRefused
from .errors import IdentityUnavailable as IdentityUnavailable
from .identity import Actor as Actor
from .identity import AnonymousIdentity as AnonymousIdentity
from .identity import ClientClaims as ClientClaims
from .identity import ClientIdentity as ClientIdentity
from .identity import GatewayIdentity as GatewayIdentity
from .identity import Identity as Identity
from .identity import IdentityContext as IdentityContext
from .identity import ServiceIdentity as ServiceIdentity
from .identity import UserClaims as UserClaims
from .identity import UserIdentity as UserIdentity
from .identity_token import averify_identity_token as averify_identity_token
from .identity_token import check_token_request as check_token_request
from .identity_token import verify_identity_token as verify_identity_token
from .keys import GatewayKeys as GatewayKeys
from .keys import StaticKeys as StaticKeys
from .replay import MemoryReplay as MemoryReplay
from .replay import NonceClaim as NonceClaim
from .replay import ReplayStore as ReplayStore
from .verifier import RequestHead as RequestHead
from .verifier import Verifier as Verifier
