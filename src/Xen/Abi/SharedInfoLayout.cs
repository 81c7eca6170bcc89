namespace Dbt.Xen.Abi;

/// <summary>Byte offsets in the i386 shared_info page and its vcpu_info structures (public/xen.h, public/arch-x86/xen.h).</summary>
public static class SharedInfoLayout
{
    /// <summary>Processors with a vcpu_info in the page itself (XEN_LEGACY_MAX_VCPUS).</summary>
    public const int LegacyVcpus = 32;

    /// <summary>Size of a vcpu_info.</summary>
    public const int VcpuInfoSize = 64;

    /// <summary>evtchn_pending[32], one bit a port.</summary>
    public const int EventPending = LegacyVcpus * VcpuInfoSize;

    /// <summary>evtchn_mask[32].</summary>
    public const int EventMask = EventPending + 128;

    /// <summary>wc_version, then wc_sec, wc_nsec.</summary>
    public const int WallclockVersion = EventMask + 128, WallclockSeconds = WallclockVersion + 4, WallclockNanoseconds = WallclockVersion + 8;

    /// <summary>arch.max_pfn, arch.pfn_to_mfn_frame_list_list, arch.nmi_reason.</summary>
    public const int MaxPfn = WallclockVersion + 12, FrameListList = MaxPfn + 4, NmiReason = MaxPfn + 8;

    /// <summary>arch.wc_sec_hi.</summary>
    public const int WallclockSecondsHigh = MaxPfn + 24;

    /// <summary>vcpu_info.evtchn_upcall_pending, evtchn_upcall_mask (bytes) and evtchn_pending_sel.</summary>
    public const int UpcallPending = 0, UpcallMask = 1, PendingSelector = 4;

    /// <summary>vcpu_info.arch.cr2.</summary>
    public const int Cr2 = 8;

    /// <summary>vcpu_info.time, a vcpu_time_info of 32 bytes.</summary>
    public const int TimeInfo = 32, TimeInfoSize = 32;
}
