using Dbt.Xen.Abi;
using Dbt.Xen.Memory;
using Dbt.Xen.Processor;

namespace Dbt.Xen.Hvm;

/// <content>Ports and model-specific registers: hardly any, as an absent device reads all ones and a register that isn't there faults.</content>
internal sealed unsafe partial class HvmProcessor
{
    // XEN_HVM_DEBUGCONS_IOPORT: text for the hypervisor's log.
    private const ushort DebugPort = 0xE9;

    private const uint PlatformId = 0x17, ApicBase = 0x1B, FeatureControl = 0x3A, MicrocodeRevision = 0x8B, ArchitecturalCapabilities = 0x10A,
        McgCapabilities = 0x179, McgStatus = 0x17A, MiscEnable = 0x1A0, PerformanceCapabilities = 0x345, XenHypercallPage = 0x40000000,
        AmdSystemConfiguration = 0xC0010010, AmdHardwareConfiguration = 0xC0010015, AmdNorthBridge = 0xC001001F,
        AmdInterruptPending = 0xC0010055;

    // Enabled; the bootstrap processor's bit.
    private const ulong ApicEnabled = 0x800, ApicBootstrap = 0x100, FeatureControlLocked = 1;

    // Fast strings; BTS and PEBS unavailable.
    private const ulong MiscEnableValue = 0x1 | (1 << 11) | (1 << 12);

    // HWCR.TscFreqSel.
    private const ulong TscAtFullFrequency = 1 << 24;

    private ulong ApicBaseValue => LocalApic.Address | ApicEnabled | (_vcpu.Id == 0 ? ApicBootstrap : 0);

    /// <inheritdoc/>
    protected override uint ReadPort(ushort port, int size) => uint.MaxValue >> (32 - (size * 8));

    /// <inheritdoc/>
    protected override void WritePort(ushort port, int size, uint value)
    {
        if (port == DebugPort && size == 1)
        {
            ReadOnlySpan<byte> text = [(byte)value];
            _domain.ConsoleLine.Add(text, _domain.Log);
            _domain.EmergencyConsole?.Invoke(text);
        }
    }

    /// <inheritdoc/>
    protected override bool TryReadMsr(uint index, out ulong value)
    {
        CpuVendor vendor = _domain.Cpuid.Vendor;
        value = 0;
        switch (index)
        {
            case ApicBase:
                value = ApicBaseValue;
                return true;
            case FeatureControl when vendor == CpuVendor.Intel:
                value = FeatureControlLocked;
                return true;
            case MiscEnable when vendor == CpuVendor.Intel:
                value = MiscEnableValue;
                return true;
            case ArchitecturalCapabilities when vendor == CpuVendor.Intel:
                value = CpuidPolicy.ArchitecturalCapabilities;
                return true;
            case AmdHardwareConfiguration when vendor == CpuVendor.Amd:
                value = TscAtFullFrequency;
                return true;
            case PlatformId when vendor == CpuVendor.Intel:
            case AmdSystemConfiguration or AmdNorthBridge or AmdInterruptPending when vendor == CpuVendor.Amd:
            case MicrocodeRevision or PerformanceCapabilities or McgCapabilities or McgStatus or XenHypercallPage:
                return true;
        }

        _domain.Log.AddOnce($"RDMSR {index:x8} unimplemented");
        return false;
    }

    /// <inheritdoc/>
    protected override bool TryWriteMsr(uint index, ulong value)
    {
        CpuVendor vendor = _domain.Cpuid.Vendor;
        switch (index)
        {
            case ApicBase:
                // It can't be moved or turned off.
                return value == ApicBaseValue;
            case MiscEnable when vendor == CpuVendor.Intel:
            case AmdHardwareConfiguration or AmdNorthBridge when vendor == CpuVendor.Amd:
            case MicrocodeRevision or McgStatus:
                return true;
            case XenHypercallPage:
                return TryFillHypercallPage(value);
        }

        _domain.Log.AddOnce($"WRMSR {index:x8} unimplemented");
        return false;
    }

    /// <summary>The page's guest-physical address; there is one page, so that the low bits are 0.</summary>
    private bool TryFillHypercallPage(ulong value)
    {
        uint mfn = (value & 0xFFF) == 0 ? _physmap[value >> 12] : 0;
        DomainMemory memory = _domain.Memory;
        if (mfn == 0 || !memory.TryGetPageAndType(mfn, PageType.Writable))
        {
            return false;
        }

        byte* page = _domain.Hypervisor.Machine.Frame(mfn);
        HypercallPage.FillNative(page);
        CodeMap.Written(page, Layout.PageSize);
        memory.PutPageAndType(mfn);
        return true;
    }
}
