// `description` is declared before these lines by the service, so that the page sends no request for it.
document.title = description.info.title;
Scalar.createApiReference('#app', {
  content: description,
  withDefaultFonts: false,
  telemetry: false,
  hideTestRequestButton: true,
  hideClientButton: true,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
  documentDownloadType: 'none',
});
