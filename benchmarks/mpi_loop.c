/* The loop that one writes by hand in C: barrier, clock, one MPI call, clock.

   What benchmarks/mpi_calls.py compares Python with. Built twice by it:

       mpicc -O2 -o mpi_loop mpi_loop.c
       mpicc -O2 -shared -fPIC -o libmpi_loop.so mpi_loop.c

   The program measures operations one after the other and writes each rank's times, nanoseconds as int64 in the order
   of the calls, to FOLDER/OPERATION.BYTES.RANK:

       mpirun -n 2 ./mpi_loop FOLDER ITERATIONS WARMUPS OPERATION BYTES [OPERATION BYTES ...]

   The library runs the same loop inside a process that has MPI already, on its buffers.

   OPERATION is a name of `operations` below; BYTES is the whole buffer of a rank, float32, as linerate counts it:
   what all_gather collects, and what reduce_scatter, all_to_all and scatter hand out. */

#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if MPI_VERSION > 3 || (defined(OMPI_MAJOR_VERSION) && OMPI_MAJOR_VERSION >= 5)
#define HAS_PERSISTENT 1 /* Open MPI 5 says 3.1 but has the persistent collectives of MPI 4 */
#endif

struct point {
    MPI_Comm comm;
    int rank, size;
    float *send, *recv;
    int count, share;        /* elements: of the whole buffer, and of each rank's part of it */
    int *counts, *displs;    /* of each rank's part */
    MPI_Request request;     /* persistent operations only */
};

static void nothing(struct point *p) { (void)p; }
static void barrier(struct point *p) { MPI_Barrier(p->comm); }
static void all_reduce(struct point *p) { MPI_Allreduce(p->send, p->recv, p->count, MPI_FLOAT, MPI_SUM, p->comm); }
static void all_reduce_in_place(struct point *p)
{
    MPI_Allreduce(MPI_IN_PLACE, p->recv, p->count, MPI_FLOAT, MPI_SUM, p->comm);
}
static void all_gather(struct point *p)
{
    MPI_Allgather(p->send, p->share, MPI_FLOAT, p->recv, p->share, MPI_FLOAT, p->comm);
}
static void reduce_scatter(struct point *p)
{
    MPI_Reduce_scatter_block(p->send, p->recv, p->share, MPI_FLOAT, MPI_SUM, p->comm);
}
static void all_to_all(struct point *p)
{
    MPI_Alltoall(p->send, p->share, MPI_FLOAT, p->recv, p->share, MPI_FLOAT, p->comm);
}
static void all_to_all_v(struct point *p)
{
    MPI_Alltoallv(p->send, p->counts, p->displs, MPI_FLOAT, p->recv, p->counts, p->displs, MPI_FLOAT, p->comm);
}
static void broadcast(struct point *p) { MPI_Bcast(p->send, p->count, MPI_FLOAT, 0, p->comm); }
static void reduce(struct point *p) { MPI_Reduce(p->send, p->recv, p->count, MPI_FLOAT, MPI_SUM, 0, p->comm); }
static void gather(struct point *p)
{
    MPI_Gather(p->send, p->share, MPI_FLOAT, p->recv, p->share, MPI_FLOAT, 0, p->comm);
}
static void scatter(struct point *p)
{
    MPI_Scatter(p->send, p->share, MPI_FLOAT, p->recv, p->share, MPI_FLOAT, 0, p->comm);
}
static void send_recv(struct point *p)
{
    MPI_Sendrecv(p->send, p->count, MPI_FLOAT, (p->rank + 1) % p->size, 0, p->recv, p->count, MPI_FLOAT,
                 (p->rank + p->size - 1) % p->size, 0, p->comm, MPI_STATUS_IGNORE);
}
static void start_and_wait(struct point *p)
{
    MPI_Start(&p->request);
    MPI_Wait(&p->request, MPI_STATUS_IGNORE);
}

static const struct {
    const char *name;
    void (*call)(struct point *);
} operations[] = {
    {"nothing", nothing},
    {"barrier", barrier},
    {"all_reduce", all_reduce},
    {"all_reduce_in_place", all_reduce_in_place},
    {"all_gather", all_gather},
    {"reduce_scatter", reduce_scatter},
    {"all_to_all", all_to_all},
    {"all_to_all_v", all_to_all_v},
    {"broadcast", broadcast},
    {"reduce", reduce},
    {"gather", gather},
    {"scatter", scatter},
    {"send_recv", send_recv},
#ifdef HAS_PERSISTENT
    {"all_reduce_persistent", start_and_wait},
#endif
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* the clock of time.perf_counter_ns */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Time `iterations` calls after `warmups` that do not count; returns 0, or 1 if there is no such operation.
   `comm` is a pointer because a communicator is an int in some MPIs and a pointer in others. */
int mpi_loop(const MPI_Comm *comm, const char *operation, void *send, void *recv, long bytes, int iterations,
             int warmups, int64_t *taken_ns)
{
    struct point p = {.comm = *comm, .send = send, .recv = recv, .request = MPI_REQUEST_NULL};
    void (*call)(struct point *) = NULL;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (!strcmp(operation, operations[i].name))
            call = operations[i].call;
    if (!call)
        return 1;
    MPI_Comm_rank(p.comm, &p.rank);
    MPI_Comm_size(p.comm, &p.size);
    p.count = (int)(bytes / (long)sizeof(float));
    p.share = p.count / p.size;
    p.counts = malloc(2 * (size_t)p.size * sizeof(int));
    p.displs = p.counts + p.size;
    for (int i = 0; i < p.size; i++) {
        p.counts[i] = p.share;
        p.displs[i] = i * p.share;
    }
#ifdef HAS_PERSISTENT
    if (call == start_and_wait)
        MPI_Allreduce_init(p.send, p.recv, p.count, MPI_FLOAT, MPI_SUM, p.comm, MPI_INFO_NULL, &p.request);
#endif
    for (int i = -warmups; i < iterations; i++) {
        MPI_Barrier(p.comm);
        int64_t begun_ns = now_ns();
        call(&p);
        int64_t ended_ns = now_ns();
        if (i >= 0)
            taken_ns[i] = ended_ns - begun_ns;
    }
    if (p.request != MPI_REQUEST_NULL)
        MPI_Request_free(&p.request);
    free(p.counts);
    return 0;
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm world = MPI_COMM_WORLD;
    int rank;
    MPI_Comm_rank(world, &rank);
    if (argc < 6 || argc % 2) {
        fprintf(stderr, "usage: mpi_loop FOLDER ITERATIONS WARMUPS OPERATION BYTES [OPERATION BYTES ...]\n");
        MPI_Abort(world, 2);
    }
    int iterations = atoi(argv[2]), warmups = atoi(argv[3]);
    int64_t *taken_ns = malloc((size_t)iterations * sizeof *taken_ns);
    for (int i = 4; i < argc; i += 2) {
        long bytes = atol(argv[i + 1]);
        void *send = NULL, *recv = NULL;
        char path[4096];
        /* Equally aligned, as torch's buffers are: Open MPI's vector code for sums takes 2.7 times as long otherwise. */
        if (posix_memalign(&send, 64, (size_t)bytes) || posix_memalign(&recv, 64, (size_t)bytes))
            MPI_Abort(world, 2);
        memset(send, 0, (size_t)bytes); /* zeros: sums of sums stay finite, and every page is there */
        memset(recv, 0, (size_t)bytes);
        memset(taken_ns, 0, (size_t)iterations * sizeof *taken_ns);
        if (mpi_loop(&world, argv[i], send, recv, bytes, iterations, warmups, taken_ns)) {
            fprintf(stderr, "mpi_loop: no operation %s\n", argv[i]);
            MPI_Abort(world, 2);
        }
        snprintf(path, sizeof path, "%s/%s.%ld.%d", argv[1], argv[i], bytes, rank);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(taken_ns, sizeof *taken_ns, (size_t)iterations, file) != (size_t)iterations || fclose(file)) {
            perror(path);
            MPI_Abort(world, 2);
        }
        free(send);
        free(recv);
    }
    free(taken_ns);
    MPI_Finalize();
    return 0;
}
