/* A voice link over UDP on this machine, one token of bits a packet: voice_link WEIGHTS IN.wav OUT.wav LOSS_PERCENT
 *
 * The network loses packets and swaps neighbours, by a linear congruence; the receiver waits for WAIT tokens before it
 * plays, and conceals what has not come by then. A packet: number of the token (32 bits, big-endian), then its bits. */

#define _POSIX_C_SOURCE 200809L

#include "common.h"

#include <arpa/inet.h>
#include <math.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT = 4, MOST_BYTES = 512, RING = 16 };

typedef struct {
    uint8_t bytes[MOST_BYTES];
    size_t size;
} packet;

typedef struct {
    int socket;
    packet held; /* by the network, to be overtaken by the next one; size 0 for none */
    int loss_percent, lost, swapped;
} network;

static int drawn(int below)
{
    static uint32_t seed = 3;
    seed = seed * 1664525u + 1013904223u;
    return (int)((seed >> 16) % (uint32_t)below);
}

static void carry(network *net, const packet *given)
{
    if (drawn(100) < net->loss_percent) {
        net->lost++;
        return;
    }
    if (!net->held.size && drawn(5) == 0) {
        net->held = *given;
        net->swapped++;
        return;
    }
    if (send(net->socket, given->bytes, given->size, 0) < 0 ||
        (net->held.size && send(net->socket, net->held.bytes, net->held.size, 0) < 0))
        fail("network", "cannot send on this machine");
    net->held.size = 0;
}

static packet packed(const float *bits, size_t count, uint32_t number)
{
    packet made = {{0}, 4 + (count + 7) / 8};
    for (int i = 0; i < 4; i++)
        made.bytes[i] = (uint8_t)(number >> 8 * (3 - i));
    for (size_t i = 0; i < count; i++)
        if (bits[i] > 0.0f)
            made.bytes[4 + i / 8] |= (uint8_t)(0x80 >> i % 8);
    return made;
}

/* Tokens that have come and are not yet played. */
typedef struct {
    packet slots[RING];
    uint32_t next; /* to be played */
} jitter_buffer;

static uint32_t number_of(const packet *given)
{
    const uint8_t *b = given->bytes;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Take all packets that are there. */
static void receive(jitter_buffer *buffer, int socket, size_t size)
{
    struct pollfd waiting = {socket, POLLIN, 0};
    packet came;
    while (poll(&waiting, 1, 0) > 0) {
        ssize_t bytes = recv(socket, came.bytes, sizeof came.bytes, 0);
        came.size = bytes < 0 ? 0 : (size_t)bytes;
        if (came.size == size && number_of(&came) - buffer->next < RING) /* not late, not from another program */
            buffer->slots[number_of(&came) % RING] = came;
    }
}

/* Play the next token, or conceal it; the samples made. */
static size_t play(jitter_buffer *buffer, aether_decoder *decoder, float *token, size_t count, float *samples)
{
    packet *slot = &buffer->slots[buffer->next++ % RING];
    size_t made;
    const aether_received received = {token, NULL, NAN, slot->size == 0};
    for (size_t i = 0; i < count && slot->size; i++)
        token[i] = slot->bytes[4 + i / 8] & 0x80 >> i % 8 ? 1.0f : -1.0f;
    slot->size = 0;
    check(aether_decoder_push(decoder, &received, samples, &made, NULL, NULL), "decoder");
    return made;
}

static void connect_loopback(int *sender, int *receiver)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof place;
    *sender = socket(AF_INET, SOCK_DGRAM, 0);
    *receiver = socket(AF_INET, SOCK_DGRAM, 0);
    if (*sender < 0 || *receiver < 0 || bind(*receiver, (struct sockaddr *)&place, size) ||
        getsockname(*receiver, (struct sockaddr *)&place, &size) || connect(*sender, (struct sockaddr *)&place, size))
        fail("network", "this machine has no loopback for UDP");
}

int main(int count, char **words)
{
    if (count != 5)
        fail("usage", "voice_link WEIGHTS IN.wav OUT.wav LOSS_PERCENT");
    aether_info info;
    const aether_model *model = open_model(words[1], &info);
    if (!info.bits)
        fail(words[1], "sends symbols; this program is for a codec of bits, such as hash_small");
    aether_encoder *encoder = new_encoder(model);
    aether_decoder *decoder = new_decoder(model);
    network net = {.loss_percent = atoi(words[4])};
    jitter_buffer buffer = {.next = 0};
    int receiver;
    connect_loopback(&net.socket, &receiver);
    size_t left, made, bits = aether_token_floats(model, info.default_rate), bytes = 4 + (bits + 7) / 8;
    const float *speech = read_wav(words[2], &left);
    FILE *file = open_wav(words[3]);
    float *token = memory_of(bits * sizeof *token), *samples = room_for_samples(&info);
    uint32_t sent = 0;
    while (next_token(encoder, &speech, &left, token)) {
        packet next = packed(token, bits, sent++);
        carry(&net, &next);
        receive(&buffer, receiver, bytes);
        if (sent > WAIT)
            write_samples(file, samples, play(&buffer, decoder, token, bits, samples));
    }
    while (buffer.next < sent)
        write_samples(file, samples, play(&buffer, decoder, token, bits, samples));
    check(aether_decoder_flush(decoder, samples, &made, NULL, NULL), "decoder");
    write_samples(file, samples, made);
    close_wav(file, words[3]);
    printf("%u tokens of %zu bytes: %d lost, %d overtaken\n", sent, bytes, net.lost, net.swapped);
    close(net.socket);
    close(receiver);
    return 0;
}
