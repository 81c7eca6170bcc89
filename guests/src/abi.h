/*
 * The part of Xen's i386 PAE paravirtual interface that this kernel uses.
 * Written from the interface's definition: numbers, field order and sizes are
 * the ABI; the text is ours. Every structure is the 32-bit guest's view.
 */
#ifndef DBT_ABI_H
#define DBT_ABI_H

#define VIRT_BASE          0xC0000000
#define HYPERVISOR_START   0xF5800000
#define M2P_END            0xF6800000
#define PAGE_SIZE          4096

#define KERNEL_CS          0xE019
#define KERNEL_DS          0xE021
#define USER_CS            0xE02B
#define USER_DS            0xE033

/* Hypercall numbers. */
#define HC_set_trap_table     0
#define HC_mmu_update         1
#define HC_set_gdt            2
#define HC_stack_switch       3
#define HC_set_callbacks      4
#define HC_fpu_taskswitch     5
#define HC_sched_op_compat    6
#define HC_set_debugreg       8
#define HC_get_debugreg       9
#define HC_update_descriptor 10
#define HC_memory_op         12
#define HC_multicall         13
#define HC_update_va_mapping 14
#define HC_set_timer_op      15
#define HC_xen_version       17
#define HC_console_io        18
#define HC_grant_table_op    20
#define HC_vm_assist         21
#define HC_update_va_mapping_otherdomain 22
#define HC_iret              23
#define HC_vcpu_op           24
#define HC_mmuext_op         26
#define HC_sched_op          29
#define HC_callback_op       30
#define HC_event_channel_op  32
#define HC_physdev_op        33

#ifndef __ASSEMBLY__
#include <stdint.h>
#include <stddef.h>

#define DOMID_SELF 0x7FF0
#define DOMID_IO   0x7FF1

enum {
    EPERM = 1, ENOENT = 2, ESRCH = 3, ENOEXEC = 8, EAGAIN = 11, ENOMEM = 12, EACCES = 13,
    EFAULT = 14, EBUSY = 16, EEXIST = 17, EXDEV = 18, ENODEV = 19, EINVAL = 22, ENOSPC = 28,
    ENOSYS = 38, ETIME = 62, EOPNOTSUPP = 95,
};

struct vcpu_time {
    uint32_t version, pad;
    uint64_t tsc, system_time;
    uint32_t mul;
    int8_t shift;
    uint8_t flags, pad1[2];
};

struct vcpu_info {
    uint8_t upcall_pending, upcall_mask, pad[2];
    uint32_t pending_sel;
    uint32_t cr2, arch_pad[5];
    struct vcpu_time time;
};

struct shared_info {
    struct vcpu_info vcpu[32];
    uint32_t pending[32], mask[32];
    uint32_t wc_version, wc_sec, wc_nsec;
    uint32_t max_pfn, p2m_list_list, nmi_reason, p2m_cr3, p2m_vaddr, p2m_generation, wc_sec_hi;
};

struct start_info {
    char magic[32];
    uint32_t nr_pages, shared_info, flags, store_mfn, store_evtchn, console_mfn, console_evtchn;
    uint32_t pt_base, nr_pt_frames, mfn_list, mod_start, mod_len;
    char cmd_line[1024];
    uint32_t first_p2m_pfn, nr_p2m_frames;
};

#define SIF_INITDOMAIN 2

struct trap_info { uint8_t vector, flags; uint16_t cs; uint32_t address; };
struct mmu_update { uint64_t ptr, val; };
struct mmuext_op { uint32_t cmd, arg1, arg2; };
struct multicall_entry { uint32_t op; int32_t result; uint32_t args[6]; };
struct callback_register { uint16_t type, flags; uint32_t cs, eip; };
#define CALLBACK_event 0
#define CALLBACK_nmi   4
enum { CALLBACKOP_register, CALLBACKOP_unregister };

struct vcpu_context {
    uint8_t fpu[512];
    uint32_t flags;
    uint32_t ebx, ecx, edx, esi, edi, ebp, eax;
    uint16_t error_code, entry_vector;
    uint32_t eip, cs, eflags, esp, ss, es, ds, fs, gs;
    struct trap_info traps[256];
    uint32_t ldt_base, ldt_entries, gdt_frames[16], gdt_entries;
    uint32_t kernel_ss, kernel_sp, cr[8], dr[8];
    uint32_t event_cs, event_eip, failsafe_cs, failsafe_eip, vm_assist;
};
#define VGCF_online 0x20

#define MMU_NORMAL      0
#define MMU_MACHPHYS    1
#define MMU_PRESERVE_AD 2

enum {
    MMUEXT_PIN_L1 = 0, MMUEXT_PIN_L2, MMUEXT_PIN_L3, MMUEXT_PIN_L4, MMUEXT_UNPIN, MMUEXT_NEW_BASEPTR,
    MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_INVLPG_LOCAL, MMUEXT_TLB_FLUSH_MULTI, MMUEXT_INVLPG_MULTI,
    MMUEXT_TLB_FLUSH_ALL, MMUEXT_INVLPG_ALL, MMUEXT_FLUSH_CACHE, MMUEXT_SET_LDT,
    MMUEXT_NEW_USER_BASEPTR = 15, MMUEXT_CLEAR_PAGE, MMUEXT_COPY_PAGE,
};

#define UVMF_NONE      0
#define UVMF_TLB_FLUSH 1
#define UVMF_INVLPG    2
#define UVMF_ALL       4

enum { SCHEDOP_yield, SCHEDOP_block, SCHEDOP_shutdown, SCHEDOP_poll };
enum { SHUTDOWN_poweroff, SHUTDOWN_reboot, SHUTDOWN_suspend, SHUTDOWN_crash };
struct sched_poll { uint32_t *ports; uint32_t nr_ports; uint64_t timeout; };

enum {
    EVTCHN_bind_interdomain, EVTCHN_bind_virq, EVTCHN_bind_pirq, EVTCHN_close, EVTCHN_send, EVTCHN_status,
    EVTCHN_alloc_unbound, EVTCHN_bind_ipi, EVTCHN_bind_vcpu, EVTCHN_unmask, EVTCHN_reset,
    EVTCHN_init_control, EVTCHN_expand_array, EVTCHN_set_priority,
};
struct evtchn_alloc_unbound { uint16_t dom, remote_dom; uint32_t port; };
struct evtchn_bind_interdomain { uint16_t remote_dom, pad; uint32_t remote_port, local_port; };
struct evtchn_bind_virq { uint32_t virq, vcpu, port; };
struct evtchn_bind_ipi { uint32_t vcpu, port; };
struct evtchn_bind_vcpu { uint32_t port, vcpu; };
struct evtchn_port { uint32_t port; };
struct evtchn_init_control { uint64_t frame; uint32_t offset, vcpu; uint8_t link_bits, pad[7]; };
struct evtchn_expand_array { uint64_t frame; };
struct evtchn_set_priority { uint32_t port, priority; };
struct evtchn_status { uint16_t dom, pad; uint32_t port, status, vcpu; uint32_t u_dom_or_virq, u_port; };
enum { STATUS_closed, STATUS_unbound, STATUS_interdomain, STATUS_pirq, STATUS_virq, STATUS_ipi };
#define VIRQ_TIMER 0
#define VIRQ_DEBUG 1

enum {
    VCPUOP_initialise, VCPUOP_up, VCPUOP_down, VCPUOP_is_up, VCPUOP_get_runstate, VCPUOP_register_runstate,
    VCPUOP_set_periodic, VCPUOP_stop_periodic, VCPUOP_set_singleshot, VCPUOP_stop_singleshot,
    VCPUOP_register_vcpu_info, VCPUOP_send_nmi, VCPUOP_get_physid, VCPUOP_register_time,
};
struct runstate { int32_t state; uint64_t entry_time, time[4]; } __attribute__((packed, aligned(4)));
struct singleshot { uint64_t timeout_abs_ns; uint32_t flags; };
struct register_vcpu_info { uint64_t mfn; uint32_t offset, rsvd; };

enum {
    XENMEM_increase_reservation = 0, XENMEM_decrease_reservation = 1, XENMEM_maximum_ram_page = 2,
    XENMEM_current_reservation = 3, XENMEM_maximum_reservation = 4, XENMEM_machphys_mfn_list = 5,
    XENMEM_populate_physmap = 6, XENMEM_add_to_physmap = 7, XENMEM_memory_map = 9, XENMEM_machine_memory_map = 10,
    XENMEM_exchange = 11, XENMEM_machphys_mapping = 12, XENMEM_maximum_gpfn = 14,
};
struct memory_reservation { uint32_t *extents; uint32_t nr_extents, order, flags; uint16_t domid, pad; };
struct memory_exchange { struct memory_reservation in, out; uint32_t nr_exchanged; };
struct memory_map { uint32_t nr_entries; void *buffer; };
struct e820_entry { uint64_t start, size; uint32_t type; } __attribute__((packed));
struct machphys_mapping { uint32_t start, end, max_mfn; };
struct machphys_mfn_list { uint32_t max_extents; uint32_t *extents; uint32_t nr_extents; };

enum {
    XENVER_version, XENVER_extraversion, XENVER_compile_info, XENVER_capabilities, XENVER_changeset,
    XENVER_platform_parameters, XENVER_get_features, XENVER_pagesize, XENVER_guest_handle, XENVER_commandline,
    XENVER_build_id,
};
struct feature_info { uint32_t index, submap; };

#define GTF_permit_access 1
#define GTF_readonly      4
#define GTF_reading       8
#define GTF_writing       16
#define GTF_transitive    3
#define GTF_sub_page      0x100
struct grant_entry { uint16_t flags, domid; uint32_t frame; };
struct grant_entry2 { uint16_t flags, domid, offset, length; uint64_t frame; };
struct gnttab_status_frames { uint32_t nr_frames; uint16_t dom; int16_t status; uint64_t *frames; };
enum {
    GNTTAB_map, GNTTAB_unmap, GNTTAB_setup_table, GNTTAB_dump_table, GNTTAB_transfer, GNTTAB_copy,
    GNTTAB_query_size, GNTTAB_unmap_and_replace, GNTTAB_set_version, GNTTAB_get_status_frames, GNTTAB_get_version,
};
struct gnttab_map { uint64_t host_addr; uint32_t flags, ref; uint16_t dom; int16_t status; uint32_t handle; uint64_t bus; };
struct gnttab_unmap { uint64_t host_addr, bus; uint32_t handle; int16_t status, pad; };
struct gnttab_setup { uint16_t dom, pad; uint32_t nr_frames; int16_t status, pad1; uint32_t *frames; };
struct gnttab_query { uint16_t dom, pad; uint32_t nr_frames, max_frames; int16_t status, pad1; };
struct gnttab_copy_ptr { uint32_t ref_or_mfn; uint16_t domid, offset; };
struct gnttab_copy { struct gnttab_copy_ptr source, dest; uint16_t len, flags; int16_t status, pad; };
struct gnttab_version { uint16_t dom, pad; uint32_t version; };
#define GNTMAP_host     2
#define GNTMAP_readonly 4
#define GNTMAP_contains_pte 16
#define GNTCOPY_source_gref 1
#define GNTCOPY_dest_gref   2

/* Rings. */
struct console_ring { char in[1024], out[2048]; uint32_t in_cons, in_prod, out_cons, out_prod; };
struct xs_ring { char req[1024], rsp[1024]; uint32_t req_cons, req_prod, rsp_cons, rsp_prod; };
struct xs_header { uint32_t type, req_id, tx_id, len; };
enum {
    XS_DIRECTORY = 1, XS_READ, XS_GET_PERMS, XS_WATCH, XS_UNWATCH, XS_TRANSACTION_START, XS_TRANSACTION_END,
    XS_WRITE = 11, XS_MKDIR, XS_RM, XS_SET_PERMS, XS_WATCH_EVENT, XS_ERROR,
};

struct blk_segment { uint32_t gref; uint8_t first, last, pad[2]; };
struct blk_request {
    uint8_t op, segments;
    uint16_t handle;
    uint64_t id, sector;
    struct blk_segment seg[11];
} __attribute__((packed, aligned(4)));
struct blk_response { uint64_t id; uint8_t op, pad; int16_t status; } __attribute__((packed, aligned(4)));
struct blk_ring {
    uint32_t req_prod, req_event, rsp_prod, rsp_event, pad[12];
    union { struct blk_request req; struct blk_response rsp; } ring[32];
};
enum { BLK_READ = 0, BLK_WRITE = 1, BLK_FLUSH = 3 };

/* io/netif.h */
struct net_tx_request { uint32_t gref; uint16_t offset, flags, id, size; };
struct net_tx_response { uint16_t id; int16_t status; };
struct net_extra_info { uint8_t type, flags, data[6]; };
struct net_tx_ring {
    uint32_t req_prod, req_event, rsp_prod, rsp_event, pad[12];
    union { struct net_tx_request req; struct net_tx_response rsp; struct net_extra_info extra; } ring[256];
};
struct net_rx_request { uint16_t id, pad; uint32_t gref; };
struct net_rx_response { uint16_t id, offset, flags; int16_t status; };
struct net_rx_ring {
    uint32_t req_prod, req_event, rsp_prod, rsp_event, pad[12];
    union { struct net_rx_request req; struct net_rx_response rsp; } ring[256];
};
enum { NET_SLOTS = 256, NETTXF_csum_blank = 1, NETTXF_data_validated = 2, NETTXF_more_data = 4, NETTXF_extra_info = 8, NETEXTRA_more = 1 };
enum { NETRXF_data_validated = 1, NETRXF_csum_blank = 2, NETRXF_more_data = 4, NETRXF_extra_info = 8 };
enum { NETRSP_okay = 0, NETRSP_error = -1, NETRSP_null = 1 };
#endif
#endif
