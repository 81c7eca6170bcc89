using System.Runtime.Intrinsics.X86;
using System.Text;
using Dbt.Xen.Time;

namespace Dbt.Xen.Processor;

/// <summary>
/// What CPUID tells a guest: the host's identity where the host is x86 (otherwise a plain Intel of family 6), reduced to what the
/// processor core implements and a PV guest may have, and Xen's own leaves from 40000000h on (public/arch-x86/cpuid.h).
/// </summary>
public sealed partial class CpuidPolicy
{
    /// <summary>IA32_ARCH_CAPABILITIES: this processor has none of the speculation faults that kernels work around at a cost.</summary>
    internal const ulong ArchitecturalCapabilities = 0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100;

    private const uint MaxBasic = 7, MaxExtended = 0x80000008, XenFirst = 0x40000000, XenLast = 0x40000005, XenEnd = 0x400000FF;
    private const uint MachineAddressBits = 36;
    private const uint ArchitecturalCapabilitiesBit = 1 << 29, SyscallBit = 1 << 11;

    // What only a guest with a system architecture of its own may have: PSE APIC SEP MTRR PGE PSE36.
    private const uint TranslatedEdx = (1 << 3) | (1 << 9) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 17);

    // XEN_HVM_CPUID_VCPU_ID_PRESENT, DOMID_PRESENT, UPCALL_VECTOR.
    private const uint TranslatedFeatures = (1 << 3) | (1 << 4) | (1 << 6);

    // What AMD repeats of leaf 1's EDX in leaf 80000001h.
    private const uint CommonEdx = 0x0183F3FF;

    private readonly List<CpuidChange> _changes = [];
    private string _vendorText;
    private uint _signature;

    /// <summary>Makes the policy of this host.</summary>
    public CpuidPolicy()
    {
        CpuidResult leaf = Host(0);
        _vendorText = X86Base.IsSupported ? TextOf(leaf) : "GenuineIntel";
        _signature = X86Base.IsSupported ? Host(1).Eax : 0x000006B1;
        Vendor = VendorOf(_vendorText);
    }

    /// <summary>Whose processor it is: decides which registers and which fast system call there are.</summary>
    public CpuVendor Vendor { get; private set; }

    /// <summary>
    /// Changes what guests are told, before the domain runs. A feature that isn't there can't be made to appear; hiding one hides those that
    /// need it. The instructions go on working: a paravirtual guest's CPUID is a statement, not a switch.
    /// </summary>
    public void Apply(in CpuidChange change)
    {
        uint unavailable = Unavailable(change);
        _changes.Add(change with { Set = change.Set & ~unavailable });
        foreach ((CpuidFeature feature, CpuidFeature needs) in CpuidFeatures.Needs)
        {
            if ((Select(Read(needs.Leaf, needs.Subleaf ?? 0, 0), needs.Register) & needs.Mask) == 0)
            {
                _changes.Add(new CpuidChange(feature.Leaf, feature.Subleaf, feature.Register, 0, feature.Mask));
            }
        }

        Vendor = VendorOf(TextOf(Read(0, 0, 0)));
    }

    /// <summary>Which bits of a change would claim what this processor doesn't have.</summary>
    public uint Unavailable(in CpuidChange change)
    {
        CpuidResult own = ReadOwn(change.Leaf, change.Subleaf ?? 0, 0);
        uint present = Select(own, change.Register);
        switch (change.Leaf, change.Register)
        {
            case (1 or 0x80000001, CpuidRegister.Ecx or CpuidRegister.Edx):
            case (7 or 0xD or 0x80000007, _):
            case (0x80000008, CpuidRegister.Ebx):
            case (6 or 0x8000000A, _):
                return change.Set & ~present;
            case (0 or 0x80000000, CpuidRegister.Eax):
                // The last leaf: it may only come down.
                return ((present & ~change.Clear) | change.Set) > present ? change.Set : 0;
            default:
                return 0;
        }
    }

    /// <summary>Id of the auto-translated domain that this is for; null for a paravirtual one.</summary>
    internal ushort? Translated { get; set; }

    private uint BasicEdx => Offered(1, CpuidRegister.Edx) | (Translated is null ? 0 : TranslatedEdx);

    /// <summary>CPUID.</summary>
    /// <param name="leaf">EAX.</param>
    /// <param name="subleaf">ECX.</param>
    /// <param name="vcpu">VCPU id, for the APIC id.</param>
    public CpuidResult Read(uint leaf, uint subleaf, int vcpu)
    {
        CpuidResult result = ReadOwn(leaf, subleaf, vcpu);
        foreach (CpuidChange change in _changes)
        {
            if (change.Leaf == leaf && (change.Subleaf ?? subleaf) == subleaf)
            {
                result = change.Register switch
                {
                    CpuidRegister.Eax => result with { Eax = Changed(result.Eax, change) },
                    CpuidRegister.Ebx => result with { Ebx = Changed(result.Ebx, change) },
                    CpuidRegister.Ecx => result with { Ecx = Changed(result.Ecx, change) },
                    _ => result with { Edx = Changed(result.Edx, change) },
                };
            }
        }

        return result;
    }

    private static string TextOf(in CpuidResult leaf)
    {
        Span<byte> text = stackalloc byte[12];
        BitConverter.TryWriteBytes(text, leaf.Ebx);
        BitConverter.TryWriteBytes(text[4..], leaf.Edx);
        BitConverter.TryWriteBytes(text[8..], leaf.Ecx);
        return Encoding.ASCII.GetString(text);
    }

    private static CpuVendor VendorOf(string text) => text switch
    {
        "GenuineIntel" => CpuVendor.Intel,
        "AuthenticAMD" or "HygonGenuine" => CpuVendor.Amd,
        _ => CpuVendor.Other,
    };

    private static uint Changed(uint value, in CpuidChange change) => (value & ~change.Clear) | change.Set;

    private static uint Select(in CpuidResult result, CpuidRegister register) => register switch
    {
        CpuidRegister.Eax => result.Eax,
        CpuidRegister.Ebx => result.Ebx,
        CpuidRegister.Ecx => result.Ecx,
        _ => result.Edx,
    };

    // The bits of a register of features: what the table offers.
    private static uint Offered(uint leaf, CpuidRegister register)
    {
        uint bits = 0;
        foreach (CpuidFeature feature in CpuidFeatures.Offered)
        {
            bits |= feature.Leaf == leaf && feature.Register == register ? feature.Mask : 0;
        }

        return bits;
    }

    private CpuidResult ReadOwn(uint leaf, uint subleaf, int vcpu) => leaf switch
    {
        >= XenFirst and <= XenEnd => leaf <= XenLast ? ReadXen(leaf - XenFirst, subleaf, vcpu) : default,
        >= 0x80000000 and <= MaxExtended => ReadExtended(leaf),
        <= MaxBasic => ReadBasic(leaf, subleaf, vcpu),
        _ => default,
    };

    private CpuidResult Host(uint leaf, uint subleaf = 0)
    {
        if (_hostLeaves is not null)
        {
            return _hostLeaves.GetValueOrDefault((leaf, subleaf));
        }

        if (!X86Base.IsSupported)
        {
            return default;
        }

        (int eax, int ebx, int ecx, int edx) = X86Base.CpuId((int)leaf, (int)subleaf);
        return new CpuidResult((uint)eax, (uint)ebx, (uint)ecx, (uint)edx);
    }

    private static (uint First, uint Second, uint Third) Text(string twelve)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(twelve);
        return (BitConverter.ToUInt32(bytes, 0), BitConverter.ToUInt32(bytes, 4), BitConverter.ToUInt32(bytes, 8));
    }

    private CpuidResult ReadXen(uint index, uint subleaf, int vcpu)
    {
        switch (index)
        {
            case 0:
                (uint b, uint c, uint d) = Text("XenVMMXenVMM");
                return new CpuidResult(XenLast, b, c, d);
            case 1:
                return new CpuidResult(Hypercalls.XenVersion.Version, 0, 0, 0);
            case 2:
                // One hypercall page, its MSR, and MMU_PT_UPDATE_PRESERVE_AD.
                return new CpuidResult(1, XenFirst, Translated is null ? 1u : 0, 0);
            case 3 when subleaf == 0:
                // An emulated counter that is reliable.
                return new CpuidResult(3, 0, SharedTime.TscKilohertz, 0);
            case 3 when subleaf == 1:
                return new CpuidResult(0, 0, SharedTime.Scale.Multiplier, (uint)SharedTime.Scale.Shift);
            case 3 when subleaf == 2:
                return new CpuidResult(SharedTime.TscKilohertz, 0, 0, 0);
            case 4 when Translated is { } domain && subleaf == 0:
                return new CpuidResult(TranslatedFeatures, (uint)vcpu, domain, 0);
            case 5 when subleaf == 0 && Translated is null:
                return new CpuidResult(0, MachineAddressBits, 0, 0);
            default:
                return default;
        }
    }

    // Sixteen of the brand string's 48 characters, for hosts that have none of their own.
    private static CpuidResult BrandText(uint part)
    {
        byte[] text = new byte[48];
        Encoding.ASCII.GetBytes("Dbt virtual i686 processor", text);
        int at = (int)part * 16;
        return new CpuidResult(BitConverter.ToUInt32(text, at), BitConverter.ToUInt32(text, at + 4), BitConverter.ToUInt32(text, at + 8), BitConverter.ToUInt32(text, at + 12));
    }

    private CpuidResult ReadBasic(uint leaf, uint subleaf, int vcpu)
    {
        switch (leaf)
        {
            case 0:
                (uint b, uint d, uint c) = Text(_vendorText);
                return new CpuidResult(MaxBasic, b, c, d);
            case 1:
                uint ebx = ((uint)vcpu << 25) | (1 << 16) | (8 << 8);
                return new CpuidResult(_signature, ebx, Offered(1, CpuidRegister.Ecx), BasicEdx);
            case 2:
                return Host(2);
            case 4:
                // Caches as the host has them, shared with nobody.
                CpuidResult cache = Vendor == CpuVendor.Intel ? Host(4, Math.Min(subleaf, 8)) : default;
                return cache with { Eax = cache.Eax & 0x3FFF };
            case 7 when subleaf == 0:
                return new CpuidResult(0, Offered(7, CpuidRegister.Ebx), Offered(7, CpuidRegister.Ecx), Vendor == CpuVendor.Intel ? ArchitecturalCapabilitiesBit : 0);
            default:
                return default;
        }
    }

    private CpuidResult ReadExtended(uint leaf)
    {
        switch (leaf)
        {
            case 0x80000000:
                (uint b, uint d, uint c) = Text(_vendorText);
                return Vendor == CpuVendor.Amd ? new CpuidResult(MaxExtended, b, c, d) : new CpuidResult(MaxExtended, 0, 0, 0);
            case 0x80000001:
                // AMD repeats leaf 1's flags here, and has SYSCALL outside of 64-bit mode.
                bool amd = Vendor == CpuVendor.Amd;
                uint edx = Offered(leaf, CpuidRegister.Edx) | (amd ? (BasicEdx & CommonEdx & ~SyscallBit) | (Translated is null ? SyscallBit : 0u) : 0);
                return new CpuidResult(amd ? _signature : 0, 0, Offered(leaf, CpuidRegister.Ecx), edx);
            case >= 0x80000002 and <= 0x80000004 when !X86Base.IsSupported && _hostLeaves is null:
                return BrandText(leaf - 0x80000002);
            case >= 0x80000002 and <= 0x80000006:
                return Host(leaf);
            case 0x80000007:
                // The counter runs at one rate, always.
                return new CpuidResult(0, 0, 0, Offered(leaf, CpuidRegister.Edx));
            case 0x80000008:
                return new CpuidResult(MachineAddressBits | (32 << 8), 0, 0, 0);
            default:
                return default;
        }
    }
}
