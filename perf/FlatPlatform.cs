using Dbt.Translator;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Perf;

/// <summary>
/// The least that a processor needs around it: identity-mapped memory, flat ring-3 segments. A software interrupt ends a run,
/// so that a benchmark measures the engine and nothing else.
/// </summary>
internal sealed unsafe class FlatPlatform : Platform, IDisposable
{
    private const uint Size = 16 << 20;
    private readonly SoftwareTlb _tlb = new();
    private readonly MemoryFile _file;
    private bool _stop;

    public FlatPlatform()
    {
        _file = new MemoryFile(Size);
        Memory = _file.Contents;
        CodeMap = new CodeMap(Memory, Size >> 12);
        Cpu = CpuState.Allocate();
        Cpu->MemoryBase = Memory;
        Cpu->TlbRoot = _tlb.Root;
        Cpu->Cr0 = 0x80000031;
        Cpu->Cr4 = 0x600; // OSFXSR OSXMMEXCPT
        *(uint*)((byte*)&Cpu->Fx + 24) = 0x1F80; // MXCSR as after reset
        Cpu->Cpl = 3;
        foreach (SegmentIndex index in Enum.GetValues<SegmentIndex>())
        {
            bool code = index == SegmentIndex.Cs;
            Cpu->Segments[index] = Segment.FromDescriptor(code ? (ushort)0x23 : (ushort)0x2B, code ? 0x00CFFB000000FFFFul : 0x00CFF3000000FFFFul);
        }

        Cpu->RefreshMode();
    }

    public CpuState* Cpu { get; private set; }

    public byte* Memory { get; private set; }

    public override CodeMap CodeMap { get; }

    /// <summary>Assembles 32-bit code to an address.</summary>
    public void Assemble(uint address, Action<Assembler> write)
    {
        var assembler = new Assembler(32);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), address);
        stream.ToArray().CopyTo(new Span<byte>(Memory + address, (int)stream.Length));
    }

    /// <summary>Empties the software TLB.</summary>
    public void DropTranslations() => _tlb.Clear();

    public override SoftwareTlb? WindowedTlb(CpuState* cpu) => _tlb;

    public override bool TryResolve(CpuState* cpu, uint linear, MemoryAccess access, bool user, out byte* host, out PageFaultCode error)
    {
        host = Memory + linear;
        error = PageFaultCode.None;
        if (linear >= Size)
        {
            return false;
        }

        if (access != MemoryAccess.Write || !CodeMap.HasCode(linear >> 12))
        {
            _tlb.Set(linear >> 12, access, user, Memory + (linear & ~0xFFFu));
        }

        return true;
    }

    public override bool TryReadDescriptor(CpuState* cpu, ushort selector, out ulong descriptor)
    {
        descriptor = 0;
        return false;
    }

    public override void DeliverFault(CpuState* cpu) =>
        throw new InvalidOperationException($"A benchmark kernel faulted: {cpu->Fault.Vector} at {cpu->Eip:X8}.");

    public override void SoftwareInterrupt(CpuState* cpu, int vector, uint nextEip)
    {
        cpu->Eip = nextEip;
        _stop = true;
        cpu->Attention = 1;
    }

    public override void Cpuid(CpuState* cpu, uint leaf, uint subleaf, out uint eax, out uint ebx, out uint ecx, out uint edx) =>
        eax = ebx = ecx = edx = 0;

    public override ulong ReadTsc(CpuState* cpu) => 0;

    public override bool ExecutePrivileged(CpuState* cpu, in Instruction instruction) => false;

    public override bool Attend(CpuState* cpu)
    {
        cpu->Attention = 0;
        bool goOn = !_stop;
        _stop = false;
        return goOn;
    }

    public override void ProtectCode(uint frame) => _tlb.DropWritesTo(Memory + ((nuint)frame << 12));

    public override void ReportUnimplemented(CpuState* cpu, string name) =>
        throw new InvalidOperationException($"A benchmark kernel uses {name}, which is not implemented.");

    public void Dispose()
    {
        CpuState.Free(Cpu);
        _file.Dispose();
        _tlb.Dispose();
    }
}
