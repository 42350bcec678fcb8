package config

import (
	"time"

	"exigo/internal/option"
)

// MainBounce holds main options (spec 14). Bounce and warning messages.
type MainBounce struct {
	BounceMessageFile          option.Expanded
	BounceMessageText          string
	BounceReturnBody           bool
	BounceReturnLineSizeLimit  int
	BounceReturnMessage        bool
	BounceReturnSizeLimit      option.Size
	BounceSenderAuthentication string
	DelayWarning               option.Times
	DelayWarningCondition      option.Expanded
	DSNFrom                    option.Expanded
	ErrorsCopy                 string
	ErrorsReplyTo              string
	IgnoreBounceErrorsAfter    time.Duration
	WarnMessageFile            option.Expanded
}

func mainBounceRows() []option.Row[Main] {
	return []option.Row[Main]{
		{Name: "bounce_message_file", Field: func(m *Main) any { return &m.BounceMessageFile }, Doc: "File with the text of bounces."},
		{Name: "bounce_message_text", Field: func(m *Main) any { return &m.BounceMessageText }, Doc: "Text added to bounces."},
		{Name: "bounce_return_body", Default: "true", Field: func(m *Main) any { return &m.BounceReturnBody }, Doc: "Bounces hold the body of the message."},
		{Name: "bounce_return_linesize_limit", Default: "998", Field: func(m *Main) any { return &m.BounceReturnLineSizeLimit }, Doc: "A message with longer lines is not returned."},
		{Name: "bounce_return_message", Default: "true", Field: func(m *Main) any { return &m.BounceReturnMessage }, Doc: "Bounces hold the message."},
		{Name: "bounce_return_size_limit", Default: "100K", Field: func(m *Main) any { return &m.BounceReturnSizeLimit }, Doc: "How much of a message is returned."},
		{Name: "return_size_limit", AliasOf: "bounce_return_size_limit"},
		{Name: "bounce_sender_authentication", Field: func(m *Main) any { return &m.BounceSenderAuthentication }, Doc: "AUTH= address of bounces."},
		{Name: "delay_warning", Default: "24h", Field: func(m *Main) any { return &m.DelayWarning }, Doc: "Times after which the sender is warned of a delay."},
		{Name: "delay_warning_condition", Default: "${if or {{ !eq{$h_list-id:$h_list-post:$h_list-subscribe:}{} }{ match{$h_precedence:}{(?i)bulk|list|junk} }{ match{$h_auto-submitted:}{(?i)auto-generated|auto-replied} }} {no}{yes}}", Field: func(m *Main) any { return &m.DelayWarningCondition }, Doc: "Whether a warning is sent."},
		{Name: "dsn_from", Default: "Mail Delivery System <Mailer-Daemon@$qualify_domain>", Field: func(m *Main) any { return &m.DSNFrom }, Doc: "From: of bounces."},
		{Name: "errors_copy", Field: func(m *Main) any { return &m.ErrorsCopy }, Doc: "Addresses that get copies of bounces, by recipient."},
		{Name: "errors_reply_to", Field: func(m *Main) any { return &m.ErrorsReplyTo }, Doc: "Reply-To: of bounces."},
		{Name: "ignore_bounce_errors_after", Default: "10w", Field: func(m *Main) any { return &m.IgnoreBounceErrorsAfter }, Doc: "Bounces that cannot be delivered are dropped after this time."},
		{Name: "warn_message_file", Field: func(m *Main) any { return &m.WarnMessageFile }, Doc: "File with the text of warnings."},
	}
}
