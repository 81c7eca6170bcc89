using Dbt.Translator;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using static Dbt.Tests.Translator.Oracle.OracleLayout;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>
/// The guest side's surroundings: the vectors' pages at the same linear addresses, Linux's descriptors as a user's program
/// sees them, and every fault, trap or interrupt ends the run.
/// </summary>
internal unsafe class OraclePlatform : Platform, IDisposable
{
    // Linux's GDT on x86-64: kernel segments, user code, user data, 64-bit user code; 12 to 14 are the thread's own.
    private static readonly ulong[] Gdt =
    [
        0, 0x00CF9B000000FFFF, 0x00AF9B000000FFFF, 0x00CF93000000FFFF, 0x00CFFB000000FFFF, 0x00CFF3000000FFFF, 0x00AFFB000000FFFF, 0,
        0, 0, 0, 0, OracleSegments.Thread[0].Descriptor, OracleSegments.Thread[1].Descriptor, OracleSegments.Thread[2].Descriptor, 0,
    ];

    private readonly SoftwareTlb _tlb = new();
    private readonly MemoryFile _file;

    public OraclePlatform()
    {
        _file = new MemoryFile((nuint)LiveBytes);
        Memory = _file.Contents;
        CodeMap = new CodeMap(Memory, (uint)Pages.Length);
        Cpu = CpuState.Allocate();
        Cpu->MemoryBase = Memory;
        Cpu->TlbRoot = _tlb.Root;
        Cpu->Cr0 = 0x80050033;                      // PE MP ET NE WP AM PG
        Cpu->Cr4 = 0x406B0;                         // PSE PAE PGE OSFXSR OSXMMEXCPT OSXSAVE
        Cpu->Cpl = 3;

        // What Linux says to STR, SLDT, SGDT and SIDT: code that overwrites itself can become one of them.
        (Cpu->GdtrBase, Cpu->IdtrBase) = (0xFFFE0000, 0xFFFF0000);
        Cpu->Tr.Selector = 0x40;
        Cpu->Ldtr.Selector = 0x50;
        Load(SegmentIndex.Cs, 0x23);
        Load(SegmentIndex.Ss, 0x2B);
    }

    /// <summary>The processor.</summary>
    public CpuState* Cpu { get; private set; }

    /// <summary>The vectors' memory, in the order of <see cref="Pages"/>.</summary>
    public byte* Memory { get; private set; }

    /// <summary>Vector that ended the run; null while it runs.</summary>
    public uint? Ended { get; private set; }

    /// <summary>Error code of that.</summary>
    public uint Error { get; private set; }

    /// <summary>Linear address of a page fault.</summary>
    public uint Cr2 { get; private set; }

    /// <summary>The vector reached for memory or descriptors that only the native harness has.</summary>
    public bool TouchedHarness { get; private set; }

    /// <summary>The island is absent, and comes with the first page fault there.</summary>
    public bool LatePage { get; private set; }

    /// <summary>Raised by a watchdog: the run is to end at the next opportunity.</summary>
    public volatile bool GiveUp;

    /// <summary>Names of instructions that were reported as not implemented.</summary>
    public HashSet<string> Unimplemented { get; } = [];

    /// <inheritdoc/>
    public override CodeMap CodeMap { get; }

    /// <summary>Whether writes to frames with code are kept out of the software TLB, as they must be.</summary>
    protected virtual bool NoticesCodeWrites => true;

    /// <summary>Ready for the next run.</summary>
    /// <param name="latePage">Whether the island is to come late.</param>
    public void Begin(bool latePage)
    {
        LatePage = latePage;
        if (latePage)
        {
            _tlb.Drop(Island >> 12);
        }

        Ended = null;
        Error = 0;
        Cr2 = 0;
        TouchedHarness = false;
        GiveUp = false;
    }

    /// <summary>Loads a segment register without checks, as Linux's own values are.</summary>
    public void Load(SegmentIndex index, ushort selector) =>
        Cpu->Segments[index] = OracleSegments.Load(selector);

    /// <inheritdoc/>
    public override SoftwareTlb? WindowedTlb(CpuState* cpu) => _tlb;

    /// <inheritdoc/>
    public override bool TryResolve(CpuState* cpu, uint linear, MemoryAccess access, bool user, out byte* host, out PageFaultCode error)
    {
        host = null;
        error = PageFaultCode.User | access switch
        {
            MemoryAccess.Write => PageFaultCode.Write,
            MemoryAccess.Execute => PageFaultCode.Fetch,
            _ => PageFaultCode.None,
        };
        TouchedHarness |= IsHarness(linear);
        int offset = LiveOffset(linear);
        if (offset < 0 || (LatePage && (linear & ~0xFFFu) == Island))
        {
            return false;
        }

        OracleRights rights = Pages[offset >> 12].Rights;
        OracleRights wanted = access switch
        {
            MemoryAccess.Write => OracleRights.Write,
            MemoryAccess.Execute => OracleRights.Execute,
            _ => OracleRights.Read,
        };
        if ((rights & wanted) != wanted)
        {
            error |= PageFaultCode.Protection;
            return false;
        }

        error = PageFaultCode.None;
        host = Memory + offset;
        if (access != MemoryAccess.Write || !NoticesCodeWrites || !CodeMap.HasCode((uint)offset >> 12))
        {
            _tlb.Set(linear >> 12, access, user, Memory + (offset & ~0xFFF));
        }

        return true;
    }

    /// <inheritdoc/>
    public override bool TryReadDescriptor(CpuState* cpu, ushort selector, out ulong descriptor)
    {
        // 64-bit code is nothing that a guest has; the task state segments, the LDT and the processor's number are not known here.
        TouchedHarness |= (selector & ~3) is 0x30 or 0x40 or 0x48 or 0x50 or 0x58 or 0x78;
        if ((selector & 4) != 0)
        {
            descriptor = OracleSegments.Find(selector) ?? 0;
            return (selector >> 3) < OracleSegments.Local.Length;
        }

        bool inside = (selector >> 3) < Gdt.Length;
        descriptor = inside ? Gdt[selector >> 3] : 0;
        return inside;
    }

    /// <inheritdoc/>
    public override void DeliverFault(CpuState* cpu)
    {
        if (LatePage && cpu->Fault.Vector == Vector.PageFault && (cpu->Fault.Address & ~0xFFFu) == Island)
        {
            LatePage = false;
            return;
        }

        End((uint)cpu->Fault.Vector, cpu->Fault.HasErrorCode ? cpu->Fault.ErrorCode : 0, cpu->Fault.Address);
    }

    /// <inheritdoc/>
    public override void SoftwareInterrupt(CpuState* cpu, int vector, uint nextEip)
    {
        // Linux opens vectors 3 and 4 (and 0x80, which no test uses) to user programs.
        if (vector is 3 or 4)
        {
            cpu->Eip = nextEip;
            End((uint)vector, 0, 0);
        }
        else
        {
            End(13, ((uint)vector * 8) + 2, 0);
        }
    }

    /// <inheritdoc/>
    public override void Cpuid(CpuState* cpu, uint leaf, uint subleaf, out uint eax, out uint ebx, out uint ecx, out uint edx) =>
        eax = ebx = ecx = edx = 0;

    /// <inheritdoc/>
    public override ulong ReadTsc(CpuState* cpu) => 0;

    /// <inheritdoc/>
    public override bool ExecutePrivileged(CpuState* cpu, in Iced.Intel.Instruction instruction) => false;

    /// <inheritdoc/>
    public override bool Attend(CpuState* cpu)
    {
        cpu->Attention = 0;
        return Ended is null && !GiveUp;
    }

    /// <inheritdoc/>
    public override void ProtectCode(uint frame) => _tlb.DropWritesTo(Memory + (frame * 4096));

    /// <inheritdoc/>
    public override void ReportUnimplemented(CpuState* cpu, string name) => Unimplemented.Add(name);

    /// <inheritdoc/>
    public void Dispose()
    {
        GC.SuppressFinalize(this);
        if (Cpu is not null)
        {
            CpuState.Free(Cpu);
            _file.Dispose();
            Cpu = null;
            Memory = null;
            _tlb.Dispose();
        }
    }

    private void End(uint vector, uint error, uint address)
    {
        if (Ended is null)
        {
            (Ended, Error, Cr2) = (vector, error, address);
        }

        Cpu->Attention = 1;
    }
}
