"""A mail server for tests: wants TLS and a login, and prints what it takes as one JSON text a line.

server.py starttls|tls CERTIFICATE KEY USER PASSWORD
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

mode, certificate, key, user, password = sys.argv[1:]


class Handler:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = message.get_body(("plain",))
        attachments = [
            {"name": part.get_filename(), "type": part.get_content_type(), "text": part.get_content()}
            for part in message.iter_attachments()
        ]
        tls = server.transport.get_extra_info("ssl_object")
        tell(
            login=session.auth_data,
            tls=tls.version() if tls else None,
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            subject=message["Subject"],
            id=message["Message-ID"],
            text=body.get_content() if body else None,
            attachments=attachments,
        )
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
    return AuthResult(success=good, handled=False, auth_data=f"{mechanism} {user}" if good else None)


def tell(**what):
    print(json.dumps(what), flush=True)


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    starts_in_the_clear = mode == "starttls"

    def connection():
        return SMTP(
            Handler(),
            hostname="localhost",
            tls_context=context if starts_in_the_clear else None,
            require_starttls=starts_in_the_clear,
            authenticator=authenticate,
            auth_required=True,
            # With TLS from the first byte on the library does not know that there is TLS.
            auth_require_tls=starts_in_the_clear,
        )

    server = await asyncio.get_running_loop().create_server(
        connection, "127.0.0.1", 0, ssl=None if starts_in_the_clear else context
    )
    tell(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main())
