package builtin

// desCrypt is the traditional crypt(3): 25 rounds of DES over zeros, with the password as key and a twelve-bit salt that
// swaps bits of the expansion. ok is false if the salt is not two characters of the alphabet.
func desCrypt(password, salt string) (text string, ok bool) {
	if len(salt) < 2 {
		return "", false
	}
	var swap [12]bool
	for i := range 2 {
		v := desValue(salt[i])
		if v < 0 {
			return "", false
		}
		for bit := range 6 {
			swap[6*i+bit] = v>>bit&1 == 1
		}
	}
	var key [64]byte
	for i := 0; i < 8 && i < len(password); i++ {
		for bit := range 7 {
			key[8*i+bit] = password[i] >> (6 - bit) & 1
		}
	}
	schedule := desSchedule(&key)
	var block [64]byte
	for range 25 {
		desEncrypt(&block, &schedule, &swap)
	}
	out := []byte(salt[:2])
	for i := 0; i < 66; i += 6 {
		v := 0
		for bit := range 6 {
			v <<= 1
			if i+bit < 64 {
				v |= int(block[i+bit])
			}
		}
		out = append(out, desAlphabet[v])
	}
	return string(out), true
}

const desAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func desValue(c byte) int {
	for i := range len(desAlphabet) {
		if desAlphabet[i] == c {
			return i
		}
	}
	return -1
}

// desSchedule makes the sixteen round keys (FIPS 46-3).
func desSchedule(key *[64]byte) (schedule [16][48]byte) {
	var cd [56]byte
	for i, from := range desPC1 {
		cd[i] = key[from-1]
	}
	for round, shifts := range desShifts {
		for range shifts {
			c, d := cd[0], cd[28]
			copy(cd[:27], cd[1:28])
			copy(cd[28:55], cd[29:56])
			cd[27], cd[55] = c, d
		}
		for i, from := range desPC2 {
			schedule[round][i] = cd[from-1]
		}
	}
	return schedule
}

// desEncrypt encrypts a block of bits. The salt swaps bits i and i+24 of the expansion.
func desEncrypt(block *[64]byte, schedule *[16][48]byte, swap *[12]bool) {
	var bits [64]byte
	for i := range bits {
		bits[i] = block[desIP[i]-1]
	}
	var left, right [32]byte
	copy(left[:], bits[:32])
	copy(right[:], bits[32:])
	for round := range 16 {
		var e [48]byte
		for i := range e {
			e[i] = right[(i/6*4+i%6+31)%32]
		}
		for i, s := range swap {
			if s {
				e[i], e[i+24] = e[i+24], e[i]
			}
		}
		var f [32]byte
		for box := range 8 {
			b := e[6*box : 6*box+6]
			k := schedule[round][6*box : 6*box+6]
			row := (b[0]^k[0])<<1 | (b[5] ^ k[5])
			column := (b[1]^k[1])<<3 | (b[2]^k[2])<<2 | (b[3]^k[3])<<1 | (b[4] ^ k[4])
			v := desS[box][16*int(row)+int(column)]
			for bit := range 4 {
				f[4*box+bit] = v >> (3 - bit) & 1
			}
		}
		next := left
		for i, from := range desP {
			next[i] ^= f[from-1]
		}
		left, right = right, next
	}
	copy(bits[:32], right[:])
	copy(bits[32:], left[:])
	for i := range bits {
		block[desIP[i]-1] = bits[i]
	}
}

// The tables of FIPS 46-3.
var (
	desShifts = [16]int{1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1}
	desPC1    = [56]byte{
		57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
		63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
	}
	desPC2 = [48]byte{
		14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
		41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
	}
	desIP = [64]byte{
		58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24, 16, 8,
		57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
	}
	desP = [32]byte{16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25}
	desS = [8][64]byte{
		{14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7, 0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11, 9, 5, 3, 8, 4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0, 15, 12, 8, 2, 4, 9, 1, 7, 5, 11, 3, 14, 10, 0, 6, 13},
		{15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10, 3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6, 9, 11, 5, 0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15, 13, 8, 10, 1, 3, 15, 4, 2, 11, 6, 7, 12, 0, 5, 14, 9},
		{10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8, 13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12, 11, 15, 1, 13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7, 1, 10, 13, 0, 6, 9, 8, 7, 4, 15, 14, 3, 11, 5, 2, 12},
		{7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15, 13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1, 10, 14, 9, 10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4, 3, 15, 0, 6, 10, 1, 13, 8, 9, 4, 5, 11, 12, 7, 2, 14},
		{2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9, 14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10, 3, 9, 8, 6, 4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14, 11, 8, 12, 7, 1, 14, 2, 13, 6, 15, 0, 9, 10, 4, 5, 3},
		{12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11, 10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0, 11, 3, 8, 9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6, 4, 3, 2, 12, 9, 5, 15, 10, 11, 14, 1, 7, 6, 0, 8, 13},
		{4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1, 13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2, 15, 8, 6, 1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2, 6, 11, 13, 8, 1, 4, 10, 7, 9, 5, 0, 15, 14, 2, 3, 12},
		{13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7, 1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0, 14, 9, 2, 7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8, 2, 1, 14, 7, 4, 10, 8, 13, 15, 12, 9, 0, 3, 5, 6, 11},
	}
)
