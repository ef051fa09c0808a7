require 'webrick'
require_relative 'identity_token'
require_relative 'bound_request'

class Service < WEBrick::HTTPServlet::AbstractServlet
  def service(request, response)
    claims = verify_token(request['countersign-token'])
    target = request.unparsed_uri
    body = target.start_with?('/stream') ? nil : request.body || ''
    bound = for_request?(claims, request.request_method, target, request, body)
    response.status = bound ? 200 : 401
    response.body = bound ? claims['user_id'] : 'another request'
  rescue JWT::DecodeError => e
    response.status = 401
    response.body = e.message
  end
end

server = WEBrick::HTTPServer.new(BindAddress: '127.0.0.1', Port: ENV.fetch('PORT'), AccessLog: [])
server.mount('/', Service)
trap('TERM') { server.shutdown }
server.start
