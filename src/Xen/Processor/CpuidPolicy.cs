using System.Runtime.Intrinsics.X86;
using System.Text;
using Dbt.Xen.Time;

namespace Dbt.Xen.Processor;

/// <summary>
/// What CPUID tells a guest: the host's identity where the host is x86 (otherwise a plain Intel of family 6), reduced to what the
/// processor core implements and a PV guest may have, and Xen's own leaves from 40000000h on (public/arch-x86/cpuid.h).
/// </summary>
public sealed class CpuidPolicy
{
    /// <summary>IA32_ARCH_CAPABILITIES: this processor has none of the speculation faults that kernels work around at a cost.</summary>
    internal const ulong ArchitecturalCapabilities = 0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100;

    private const uint MaxBasic = 7, MaxExtended = 0x80000008, XenFirst = 0x40000000, XenLast = 0x40000005;
    private const uint MachineAddressBits = 36;

    // FPU DE TSC MSR PAE MCE CX8 MCA CMOV PAT CLFSH MMX FXSR SSE SSE2. Without VME, PSE, APIC, SEP, MTRR and PGE, as Xen has it for PV.
    private const uint Features1Edx = 0x1 | 0x4 | 0x10 | 0x20 | 0x40 | 0x80 | 0x100 | (1 << 14) | (1 << 15) | (1 << 16) | (1 << 19)
        | (1 << 23) | (1 << 24) | (1 << 25) | (1 << 26);

    // SSE3 PCLMULQDQ SSSE3 SSE4.1 SSE4.2 MOVBE POPCNT AES. XSAVE, AVX and what needs them are not implemented.
    private const uint Features1Ecx = 0x1 | 0x2 | (1 << 9) | (1 << 19) | (1 << 20) | (1 << 22) | (1 << 23) | (1 << 25);
    private const uint Hypervisor = 1u << 31;

    // BMI1, BMI2, ERMS.
    private const uint Features7Ebx = (1 << 3) | (1 << 8) | (1 << 9);
    private const uint Features7EdxIntel = 1 << 29;

    // NX; LAHF and LZCNT.
    private const uint FeaturesExtendedEdx = 1 << 20, FeaturesExtendedEcx = 0x1 | (1 << 5);

    private readonly string _vendorText;
    private readonly uint _signature;

    /// <summary>Makes the policy of this host.</summary>
    public CpuidPolicy()
    {
        if (X86Base.IsSupported)
        {
            CpuidResult leaf = Host(0);
            Span<byte> text = stackalloc byte[12];
            BitConverter.TryWriteBytes(text, leaf.Ebx);
            BitConverter.TryWriteBytes(text[4..], leaf.Edx);
            BitConverter.TryWriteBytes(text[8..], leaf.Ecx);
            _vendorText = Encoding.ASCII.GetString(text);
            _signature = Host(1).Eax;
        }
        else
        {
            _vendorText = "GenuineIntel";
            _signature = 0x000006B1;
        }

        Vendor = _vendorText switch
        {
            "GenuineIntel" => CpuVendor.Intel,
            "AuthenticAMD" or "HygonGenuine" => CpuVendor.Amd,
            _ => CpuVendor.Other,
        };
    }

    /// <summary>Whose processor it is.</summary>
    public CpuVendor Vendor { get; }

    /// <summary>Features taken away besides: bits of leaf 1 EDX and ECX, leaf 7 EBX (the configuration's <c>cpuid</c>).</summary>
    public (uint Edx, uint Ecx, uint Leaf7Ebx) Hidden { get; set; }

    /// <summary>CPUID.</summary>
    /// <param name="leaf">EAX.</param>
    /// <param name="subleaf">ECX.</param>
    /// <param name="vcpu">VCPU id, for the APIC id.</param>
    public CpuidResult Read(uint leaf, uint subleaf, int vcpu) => leaf switch
    {
        >= XenFirst and <= XenLast => ReadXen(leaf - XenFirst, subleaf),
        >= 0x80000000 and <= MaxExtended => ReadExtended(leaf),
        <= MaxBasic => ReadBasic(leaf, subleaf, vcpu),
        _ => default,
    };

    private static CpuidResult Host(uint leaf, uint subleaf = 0)
    {
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

    private static CpuidResult ReadXen(uint index, uint subleaf)
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
                return new CpuidResult(1, XenFirst, 1, 0);
            case 3 when subleaf == 0:
                // An emulated counter that is reliable.
                return new CpuidResult(3, 0, SharedTime.TscKilohertz, 0);
            case 3 when subleaf == 1:
                return new CpuidResult(0, 0, SharedTime.Scale.Multiplier, (uint)SharedTime.Scale.Shift);
            case 3 when subleaf == 2:
                return new CpuidResult(SharedTime.TscKilohertz, 0, 0, 0);
            case 5 when subleaf == 0:
                return new CpuidResult(0, MachineAddressBits, 0, 0);
            default:
                return default;
        }
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
                return new CpuidResult(_signature, ebx, (Features1Ecx & ~Hidden.Ecx) | Hypervisor, Features1Edx & ~Hidden.Edx);
            case 2:
                return Host(2);
            case 4:
                // Caches as the host has them, shared with nobody.
                CpuidResult cache = Vendor == CpuVendor.Intel ? Host(4, Math.Min(subleaf, 8)) : default;
                return cache with { Eax = cache.Eax & 0x3FFF };
            case 7 when subleaf == 0:
                return new CpuidResult(0, Features7Ebx & ~Hidden.Leaf7Ebx, 0, Vendor == CpuVendor.Intel ? Features7EdxIntel : 0);
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
                // AMD repeats leaf 1's flags here.
                uint common = Vendor == CpuVendor.Amd ? Features1Edx & ~Hidden.Edx & 0x0183F3FF : 0;
                return new CpuidResult(Vendor == CpuVendor.Amd ? _signature : 0, 0, FeaturesExtendedEcx, FeaturesExtendedEdx | common);
            case >= 0x80000002 and <= 0x80000006:
                return Host(leaf);
            case 0x80000007:
                // The counter runs at one rate, always.
                return new CpuidResult(0, 0, 0, 1 << 8);
            case 0x80000008:
                return new CpuidResult(MachineAddressBits | (32 << 8), 0, 0, 0);
            default:
                return default;
        }
    }
}
