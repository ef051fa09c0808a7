package identity

// Echo is an identity in the form of docs/contract-vectors.md.
func Echo(id *Identity) map[string]any {
	context := map[string]any{}
	set := func(to map[string]any, name, value string) {
		if value != "" {
			to[name] = value
		}
	}
	c := id.Context
	set(context, "ip", c.IP)
	set(context, "iss", c.Issuer)
	set(context, "sid", c.Session)
	set(context, "jkt", c.KeyThumbprint)
	set(context, "client", c.Client)
	for name, items := range map[string][]string{"amr": c.AuthMethods, "scope": c.Scopes, "roles": c.Roles} {
		if items != nil {
			context[name] = items
		}
	}
	if c.Actor != nil {
		context["act"] = map[string]string{"sub": c.Actor.Subject, "iss": c.Actor.Issuer}
	}
	if !c.AuthTime.IsZero() {
		context["auth_time"] = c.AuthTime.Unix()
	}
	form := map[string]any{"kind": id.Kind, "request_id": id.RequestID, "context": context}
	set(form, "txn_token", id.TxnToken)
	set(form, "service_id", id.ServiceID)
	user, client := form, form
	if id.Kind == KindService {
		user, client = map[string]any{}, map[string]any{}
	}
	if id.User != nil {
		set(user, "user_id", id.User.ID)
		set(user, "role", id.User.Role)
		set(user, "tenant_id", id.User.TenantID)
	}
	if id.Client != nil {
		set(client, "client_id", id.Client.ID)
		set(client, "role", id.Client.Role)
		set(client, "tenant_id", id.Client.TenantID)
	}
	if id.Kind == KindService && id.User != nil {
		form["user"] = user
	}
	if id.Kind == KindService && id.Client != nil {
		form["client"] = client
	}
	return form
}
