/* Numbers that tell a board from another of its kind; PORT_UNIQUE_ID names one of them, or a port's own. */
#ifndef UNIQUE_ID_H
#define UNIQUE_ID_H

#include <stddef.h>
#include <stdint.h>

#ifndef PORT_UNIQUE_ID /* The board has none that is known. */
#define PORT_UNIQUE_ID unique_id_none
#define PORT_UNIQUE_ID_BASE 0
#endif

#define UNIQUE_ID_BYTES 16u

/* A number whose registers are at `base`: gives how many bytes of `id` it has, the first at the
   lowest address; 0: none. */
typedef size_t unique_id(uint32_t base, uint8_t id[UNIQUE_ID_BYTES]);

unique_id unique_id_none;
unique_id unique_id_96; /* Three words of 32 bits in a row, as many Cortex-M chips have them. */
unique_id unique_id_lan9220; /* The MAC address of an Ethernet chip SMSC LAN9220 or LAN9118, if its EEPROM has one. */
unique_id PORT_UNIQUE_ID;

#endif
