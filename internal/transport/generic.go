package transport

import (
	"time"

	"exigo/internal/option"
)

// Generic are the options that every transport has (spec chapter 24).
type Generic struct {
	Driver                 string
	BodyOnly               bool
	HeadersOnly            bool
	CurrentDirectory       option.Expanded
	HomeDirectory          option.Expanded
	DisableLogging         bool
	DebugPrint             option.Expanded
	DeliveryDateAdd        bool
	EnvelopeToAdd          bool
	ReturnPathAdd          bool
	EventAction            option.Expanded
	User                   option.UserID
	Group                  option.GroupID
	InitGroups             bool
	HeadersAdd             option.StringList
	HeadersRemove          option.StringList
	HeadersRewrite         string
	MaxParallel            option.ExpandedInt
	MessageSizeLimit       option.Expanded
	RcptIncludeAffixes     bool
	RetryUseLocalPart      *bool
	ReturnPath             option.Expanded
	ShadowCondition        option.Expanded
	ShadowTransport        string
	TransportFilter        option.Expanded
	TransportFilterTimeout time.Duration
}

// Options is the table of the generic options.
var Options = option.Table[Generic]{Scope: "transports", Rows: []option.Row[Generic]{
	{Name: "body_only", Field: func(g *Generic) any { return &g.BodyOnly }, Doc: "The header is not transported; excludes headers_only."},
	{Name: "current_directory", Field: func(g *Generic) any { return &g.CurrentDirectory }, Doc: "Current directory of the transport, overriding the router's."},
	{Name: "debug_print", Field: func(g *Generic) any { return &g.DebugPrint }, Doc: "Text that is expanded and printed when debugging."},
	{Name: "delivery_date_add", Field: func(g *Generic) any { return &g.DeliveryDateAdd }, Doc: "Adds a Delivery-date: header line."},
	{Name: "disable_logging", Field: func(g *Generic) any { return &g.DisableLogging }, Doc: "Nothing is logged of this transport's deliveries and errors."},
	{Name: "driver", Field: func(g *Generic) any { return &g.Driver }, Doc: "The kind of transport; must be set."},
	{Name: "envelope_to_add", Field: func(g *Generic) any { return &g.EnvelopeToAdd }, Doc: "Adds an Envelope-to: header line with the original addresses."},
	{Name: "event_action", Field: func(g *Generic) any { return &g.EventAction }, Doc: "Text that is expanded when an event of a delivery happens."},
	{Name: "group", Field: func(g *Generic) any { return &g.Group }, Doc: "Group of the delivery, overriding the router's and the user's."},
	{Name: "headers_add", Repeat: option.JoinNewline, Field: func(g *Generic) any { return &g.HeadersAdd }, Doc: "Header lines that are expanded and added, separated by newlines."},
	{Name: "headers_only", Field: func(g *Generic) any { return &g.HeadersOnly }, Doc: "The body is not transported; excludes body_only."},
	{Name: "headers_remove", Repeat: option.JoinColon, Field: func(g *Generic) any { return &g.HeadersRemove }, Doc: "Names of header lines that are omitted; a final * matches a prefix."},
	{Name: "headers_rewrite", Field: func(g *Generic) any { return &g.HeadersRewrite }, Doc: "Rewriting rules for the addresses of the message's own header lines."},
	{Name: "home_directory", Field: func(g *Generic) any { return &g.HomeDirectory }, Doc: "Home directory of a local transport, overriding the router's."},
	{Name: "initgroups", Field: func(g *Generic) any { return &g.InitGroups }, Doc: "The delivery has the user's supplementary groups when the transport chooses the user."},
	{Name: "max_parallel", Field: func(g *Generic) any { return &g.MaxParallel }, Doc: "Limit of runs of the transport at the same time."},
	{Name: "message_size_limit", Field: func(g *Generic) any { return &g.MessageSizeLimit }, Doc: "Messages above this size are failed."},
	{Name: "rcpt_include_affixes", Field: func(g *Generic) any { return &g.RcptIncludeAffixes }, Doc: "RCPT commands carry the prefix and suffix that the router removed."},
	{Name: "retry_use_local_part", Field: func(g *Generic) any { return &g.RetryUseLocalPart }, Doc: "Retry records of local deliveries are kept per address rather than per domain."},
	{Name: "return_path", Field: func(g *Generic) any { return &g.ReturnPath }, Doc: "Replaces the envelope sender in the copy that is delivered."},
	{Name: "return_path_add", Field: func(g *Generic) any { return &g.ReturnPathAdd }, Doc: "Adds a Return-path: header line."},
	{Name: "shadow_condition", Field: func(g *Generic) any { return &g.ShadowCondition }, Doc: "Condition of the shadow transport."},
	{Name: "shadow_transport", Field: func(g *Generic) any { return &g.ShadowTransport }, Doc: "Local transport that gets a copy after each success."},
	{Name: "transport_filter", Field: func(g *Generic) any { return &g.TransportFilter }, Doc: "Command through which the message is piped as it is written."},
	{Name: "transport_filter_timeout", Default: "5m", Field: func(g *Generic) any { return &g.TransportFilterTimeout }, Doc: "Longest wait for output of the transport filter."},
	{Name: "user", Field: func(g *Generic) any { return &g.User }, Doc: "User of the delivery, overriding the router's."},
}}
