package route

import "exigo/internal/mail"

// Child adds a new address that the router made of the current one. It inherits what children inherit; the
// caller sets its Address (and Kind).
func (r *Run) Child(address string) *mail.Address {
	c := newChild(r.Address, address)
	r.children = append(r.children, c)
	return c
}

// newChild makes an address whose parent is the given one.
func newChild(parent *mail.Address, address string) *mail.Address {
	return &mail.Address{
		Address: address, Unique: address, Parent: parent, Original: parent.Original, OneTimeParent: parent.OneTimeParent,
		AddressData: parent.AddressData, Vars: parent.Vars, ErrorsTo: parent.ErrorsTo, ErrorsToSet: parent.ErrorsToSet,
		ExtraHeaders: parent.ExtraHeaders, RemoveHeaders: parent.RemoveHeaders,
		Notify: parent.Notify, ORCPT: parent.ORCPT, DSNAware: parent.DSNAware, Mode: parent.Mode,
	}
}
