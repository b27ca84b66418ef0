/* Source of the LAN9220: Microchip's data sheet DS00001853, registers of the host interface and of the MAC. */
#include "unique_id.h"

#include <stdbool.h>

#include "hil_frame.h"
#include "registers.h"

#define CHIP 0x50u /* Its upper half is the chip's number. */
#define BYTE_ORDER 0x64u
#define BYTE_ORDER_READY 0x87654321u
#define MAC_COMMAND 0xA4u
#define MAC_BUSY (1u << 31)
#define MAC_READ (1u << 30)
#define MAC_DATA 0xA8u
#define MAC_ADDRESS_HIGH 2u
#define MAC_ADDRESS_LOW 3u
#define EEPROM 0xB0u
#define EEPROM_BUSY (1u << 31)
#define EEPROM_MAC_LOADED (1u << 8)
#define POLLS 1000000u

size_t unique_id_none(uint32_t base, uint8_t id[UNIQUE_ID_BYTES]) {
    (void)base, (void)id;
    return 0;
}

size_t unique_id_96(uint32_t base, uint8_t id[UNIQUE_ID_BYTES]) {
    for (uint32_t i = 0; i < 3; i++) {
        hil_put32(id + 4 * i, register_read(base + 4 * i));
    }
    return 12;
}

static bool becomes(uint32_t address, uint32_t mask, uint32_t value) {
    for (uint32_t i = 0; i < POLLS; i++) {
        if ((register_read(address) & mask) == value) {
            return true;
        }
    }
    return false;
}

static uint32_t mac_read(uint32_t base, uint32_t index) {
    register_write(base + MAC_COMMAND, MAC_BUSY | MAC_READ | index);
    return becomes(base + MAC_COMMAND, MAC_BUSY, 0) ? register_read(base + MAC_DATA) : 0;
}

size_t unique_id_lan9220(uint32_t base, uint8_t id[UNIQUE_ID_BYTES]) {
    uint32_t chip = register_read(base + CHIP) >> 16;
    if ((chip != 0x9220u && chip != 0x0118u) || !becomes(base + BYTE_ORDER, ~0u, BYTE_ORDER_READY) ||
        !becomes(base + EEPROM, EEPROM_BUSY, 0) || (register_read(base + EEPROM) & EEPROM_MAC_LOADED) == 0) {
        return 0;
    }
    uint32_t low = mac_read(base, MAC_ADDRESS_LOW), high = mac_read(base, MAC_ADDRESS_HIGH);
    hil_put32(id, low); /* The address's first byte is the lowest. */
    hil_put16(id + 4, (uint16_t)high);
    return 6;
}
