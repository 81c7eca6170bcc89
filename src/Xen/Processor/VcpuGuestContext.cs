using System.Runtime.InteropServices;

namespace Dbt.Xen.Processor;

/// <summary>struct vcpu_guest_context of i386 (public/arch-x86/xen.h): 2800 bytes, all that a processor starts with.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public unsafe struct VcpuGuestContext
{
    /// <summary>VGCF_I387_VALID: <see cref="Fpu"/> counts.</summary>
    public const uint FpuValid = 1;

    /// <summary>VGCF_in_kernel: it was held in the guest's kernel.</summary>
    public const uint InKernel = 1 << 2;

    /// <summary>VGCF_failsafe_disables_events.</summary>
    public const uint FailsafeMasksEvents = 1 << 3;

    /// <summary>VGCF_online: the processor runs as soon as it is initialised.</summary>
    public const uint Online = 1 << 5;

    /// <summary>FXSAVE area.</summary>
    public fixed byte Fpu[512];

    /// <summary>VGCF_* flags.</summary>
    public uint Flags;

    /// <summary>Registers.</summary>
    public GuestRegisters Registers;

    /// <summary>Virtual IDT: 256 times flags and selector (vector byte, flags byte, selector word), and offset.</summary>
    public fixed uint Traps[512];

    /// <summary>LDT.</summary>
    public uint LdtBase, LdtEntries;

    /// <summary>GDT: frames and number of entries.</summary>
    public fixed uint GdtFrames[16];

    /// <summary>Entries in the GDT.</summary>
    public uint GdtEntries;

    /// <summary>Kernel stack.</summary>
    public uint KernelSs, KernelSp;

    /// <summary>CR0 to CR7; CR3 is folded as xen_pfn_to_cr3 does.</summary>
    public fixed uint ControlRegisters[8];

    /// <summary>DR0 to DR7.</summary>
    public fixed uint DebugRegisters[8];

    /// <summary>Callbacks.</summary>
    public uint EventCallbackCs, EventCallbackEip, FailsafeCallbackCs, FailsafeCallbackEip;

    /// <summary>VMASST_TYPE_* bits; only the first processor's count.</summary>
    public uint VmAssist;
}

/// <summary>struct cpu_user_regs of i386 (public/arch-x86/xen-x86_32.h), 68 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public struct GuestRegisters
{
#pragma warning disable CS1591 // the processor's own names
    public uint Ebx, Ecx, Edx, Esi, Edi, Ebp, Eax;
    public ushort ErrorCode, EntryVector;
    public uint Eip;
    public ushort Cs;
    public byte SavedUpcallMask, Padding;
    public uint Eflags, Esp;
    public uint Ss, Es, Ds, Fs, Gs;
#pragma warning restore CS1591
}
