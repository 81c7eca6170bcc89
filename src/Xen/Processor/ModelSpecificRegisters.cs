using Dbt.Translator.State;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Processor;

/// <summary>RDMSR and WRMSR: the few registers that PV kernels read in earnest. All others fault, and are named once in the log.</summary>
internal static unsafe class ModelSpecificRegisters
{
    private const uint Tsc = 0x10, PlatformId = 0x17, ApicBase = 0x1B, MicrocodeRevision = 0x8B, Mperf = 0xE7, Aperf = 0xE8,
        ArchitecturalCapabilities = 0x10A, McgCapabilities = 0x179, McgStatus = 0x17A, MiscEnable = 0x1A0, DebugControl = 0x1D9, Pat = 0x277,
        PerformanceCapabilities = 0x345, XenHypercallPage = 0x40000000, Efer = 0xC0000080,
        TscAux = 0xC0000103,
        AmdHardwareConfiguration = 0xC0010015, AmdNorthBridge = 0xC001001F;

    private const ulong EferValue = 0x800;
    private const ulong PatOfXen = 0x050100070406;

    // Fast strings; BTS and PEBS unavailable; xTPR messages disabled.
    private const ulong MiscEnableValue = 0x1 | (1 << 11) | (1 << 12) | (1 << 23);

    /// <summary>Reads a register.</summary>
    /// <returns>False for #GP(0).</returns>
    public static bool TryRead(Vcpu vcpu, uint register, out ulong value)
    {
        CpuVendor vendor = vcpu.Domain.Cpuid.Vendor;
        value = 0;
        switch (register)
        {
            case Tsc:
                value = vcpu.ReadTsc(vcpu.State);
                return true;
            case TscAux:
                value = vcpu.State->TscAux;
                return true;
            case ApicBase:
                value = 0xFEE00800 | (vcpu.Id == 0 ? 0x100u : 0);
                return true;
            case Efer:
                value = EferValue;
                return true;
            case Pat:
                value = PatOfXen;
                return true;
            case MiscEnable when vendor == CpuVendor.Intel:
                value = MiscEnableValue;
                return true;
            case ArchitecturalCapabilities when vendor == CpuVendor.Intel:
                value = CpuidPolicy.ArchitecturalCapabilities;
                return true;
            case PlatformId when vendor == CpuVendor.Intel:
            case AmdNorthBridge or AmdHardwareConfiguration when vendor == CpuVendor.Amd:
            case MicrocodeRevision or PerformanceCapabilities or McgCapabilities or McgStatus or DebugControl:
                return true;
        }

        vcpu.Domain.Log.AddOnce($"RDMSR {register:x8} unimplemented");

        // Kernels that read registers before they have a handler would die of it; Xen is as kind.
        return (register >> 16) != 0x4000 && !vcpu.Traps[(int)Vector.GeneralProtection].IsSet;
    }

    /// <summary>Writes a register.</summary>
    /// <returns>False for #GP(0).</returns>
    public static bool TryWrite(Vcpu vcpu, uint register, ulong value)
    {
        CpuVendor vendor = vcpu.Domain.Cpuid.Vendor;
        switch (register)
        {
            case Efer when value == EferValue:
            case DebugControl when value == 0:
            case MiscEnable when vendor == CpuVendor.Intel:
            case Mperf or Aperf or MicrocodeRevision:
            case AmdNorthBridge or AmdHardwareConfiguration when vendor == CpuVendor.Amd:
                return true;
            case TscAux when value <= uint.MaxValue:
                vcpu.State->TscAux = (uint)value;
                return true;
            case XenHypercallPage:
                return TryWriteHypercallPage(vcpu, value);
        }

        vcpu.Domain.Log.AddOnce($"WRMSR {register:x8} unimplemented");
        return false;
    }

    private static bool TryWriteHypercallPage(Vcpu vcpu, ulong value)
    {
        ulong frame = value >> 12;
        if ((value & 0xFFF) != 0 || frame > uint.MaxValue)
        {
            return false;
        }

        DomainMemory memory = vcpu.Domain.Memory;
        if (!memory.TryGetPageAndType((uint)frame, PageType.Writable))
        {
            return false;
        }

        byte* page = vcpu.Domain.Hypervisor.Machine.Frame((uint)frame);
        HypercallPage.Fill(page);
        vcpu.CodeMap.Written(page, Abi.Layout.PageSize);
        memory.PutPageAndType((uint)frame);
        return true;
    }
}
