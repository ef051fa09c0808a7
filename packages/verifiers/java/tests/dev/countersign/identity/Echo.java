package dev.countersign.identity;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/** What the services of the tests share. */
final class Echo {
    private Echo() {}

    static VerifierSettings settings() {
        VerifierSettings settings = new VerifierSettings();
        settings.audience = "my-service";
        settings.keySetUrl = System.getenv("GATEWAY_KEYS_URL");
        return settings;
    }

    static int port() {
        return Integer.parseInt(System.getenv("PORT"));
    }

    static String answer(Identity identity) {
        return Json.write(identity == null ? Map.of() : members(identity));
    }

    /** The members that the vectors have. */
    static Map<String, Object> members(Identity identity) {
        Map<String, Object> members = new LinkedHashMap<>();
        members.put("kind", identity.kind());
        members.put("request_id", identity.requestId());
        members.put("context", identity.context());
        members.put("service_id", identity.serviceId());
        members.put("txn_token", identity.txnToken());
        Map<String, Object> caller = new LinkedHashMap<>();
        caller.put("user_id", identity.userId());
        caller.put("client_id", identity.clientId());
        caller.put("role", identity.role());
        caller.put("tenant_id", identity.tenantId());
        caller.values().removeIf(Objects::isNull);
        if (!identity.kind().equals("service")) members.putAll(caller);
        else if (identity.clientId() != null) members.put("client", caller);
        else if (identity.userId() != null) members.put("user", caller);
        members.values().removeIf(Objects::isNull);
        return members;
    }
}
