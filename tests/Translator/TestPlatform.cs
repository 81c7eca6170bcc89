using Dbt.Translator;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Tests.Translator;

/// <summary>Rights of a page of <see cref="TestPlatform"/>.</summary>
[Flags]
internal enum PageRights : byte
{
    None = 0,
    Present = 1,
    Write = 2,
    User = 4,
    All = Present | Write | User,
}

/// <summary>
/// A processor's surroundings for tests: memory whose linear addresses are physical ones, flat segments for rings 0, 1 and 3,
/// faults and interrupts written down. It stops at the first fault, software interrupt or HLT.
/// </summary>
internal sealed unsafe class TestPlatform : Platform, IDisposable
{
    public const ushort Code0 = 0x08, Data0 = 0x10, Code1 = 0x19, Data1 = 0x21, Code3 = 0x2B, Data3 = 0x33;

    private SoftwareTlb _tlb = new();
    private readonly Lock _gate = new();
    private readonly MemoryFile? _file;
    private readonly PageRights[] _rights;
    private Dictionary<uint, uint> _mapping = [];
    private (SoftwareTlb Tlb, Dictionary<uint, uint> Mapping)? _other;
    private bool _stop;

    /// <param name="megabytes">Size of the memory.</param>
    /// <param name="ring">Ring of the segments that are loaded.</param>
    /// <param name="shared">Whether the host can map the memory a second time.</param>
    public TestPlatform(int megabytes = 4, int ring = 3, bool shared = true)
    {
        Size = (uint)megabytes << 20;
        _file = shared ? new MemoryFile(Size) : null;
        Memory = _file is null ? HostMemory.Reserve(Size) : _file.Contents;
        CodeMap = new CodeMap(Memory, Size >> 12);
        _rights = new PageRights[Size >> 12];
        Array.Fill(_rights, PageRights.All);
        foreach (int dpl in new[] { 0, 1, 3 })
        {
            int index = dpl == 3 ? 5 : 1 + (dpl * 2);
            Gdt[index] = 0x00CF9B000000FFFF | ((ulong)dpl << 45);
            Gdt[index + 1] = 0x00CF93000000FFFF | ((ulong)dpl << 45);
        }

        Cpu = CpuState.Allocate();
        Cpu->MemoryBase = Memory;
        Cpu->TlbRoot = _tlb.Root;
        Cpu->Cr0 = 0x80000031;
        Cpu->Cr4 = 0x600; // OSFXSR OSXMMEXCPT
        SetRing(ring);
    }

    /// <summary>The processor.</summary>
    public CpuState* Cpu { get; private set; }

    /// <summary>Host address of linear and physical address 0.</summary>
    public byte* Memory { get; private set; }

    /// <summary>Bytes of memory.</summary>
    public uint Size { get; }

    /// <summary>The descriptor table; entry n belongs to selector n * 8.</summary>
    public ulong[] Gdt { get; } = new ulong[64];

    /// <summary>Faults delivered.</summary>
    public List<Fault> Faults { get; } = [];

    /// <summary>EIP at each fault.</summary>
    public List<uint> FaultEips { get; } = [];

    /// <summary>Vectors of software interrupts.</summary>
    public List<int> Interrupts { get; } = [];

    /// <summary>Privileged instructions carried out.</summary>
    public List<Mnemonic> Privileged { get; } = [];

    /// <summary>Names of instructions reported as not implemented.</summary>
    public List<string> Unimplemented { get; } = [];

    /// <summary>Calls of <see cref="TryResolve"/>.</summary>
    public int Resolves { get; private set; }

    /// <summary>Called instead of stopping at a fault; true: go on.</summary>
    public Func<Fault, bool>? OnFault { get; set; }

    /// <summary>Called instead of stopping at a software interrupt (EIP is already behind it); true: go on.</summary>
    public Func<int, bool>? OnInterrupt { get; set; }

    /// <summary>What RDTSC reads next; grows by one at each reading.</summary>
    public ulong Tsc { get; set; } = 1000;

    public override CodeMap CodeMap { get; }

    /// <summary>Loads flat segments of a ring (0, 1 or 3) and a stack at the top of memory.</summary>
    public void SetRing(int ring)
    {
        ushort code = ring switch { 0 => Code0, 1 => Code1, _ => Code3 };
        ushort data = ring switch { 0 => Data0, 1 => Data1, _ => Data3 };
        Cpu->Segments[SegmentIndex.Cs] = Segment.FromDescriptor(code, Gdt[code >> 3]);
        foreach (SegmentIndex index in new[] { SegmentIndex.Es, SegmentIndex.Ss, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs })
        {
            Cpu->Segments[index] = Segment.FromDescriptor(data, Gdt[data >> 3]);
        }

        Cpu->Cpl = ring;
        Cpu->Gpr[(int)Gpr.Esp] = Size - 64;
        Cpu->RefreshMode();
    }

    /// <summary>Loads a segment register from the table, without checks.</summary>
    public void LoadSegment(SegmentIndex index, ushort selector)
    {
        Cpu->Segments[index] = Segment.FromDescriptor(selector, Gdt[selector >> 3]);
        Cpu->RefreshMode();
    }

    /// <summary>Changes a page's rights. Any thread.</summary>
    public void Protect(uint linear, PageRights rights)
    {
        lock (_gate)
        {
            _rights[linear >> 12] = rights;
            _tlb.Drop(linear >> 12);
        }
    }

    /// <summary>Maps a page of linear addresses to another physical page.</summary>
    public void Map(uint linear, uint physical)
    {
        _mapping[linear >> 12] = physical >> 12;
        _tlb.Drop(linear >> 12);
    }

    /// <summary>Goes to the other of two address spaces, which have pages mapped and software TLBs of their own, as a processor does that keeps tables over a switch. Nothing is dropped.</summary>
    public void SwitchSpace()
    {
        (SoftwareTlb tlb, Dictionary<uint, uint> mapping) = _other ?? (new SoftwareTlb(), []);
        _other = (_tlb, _mapping);
        (_tlb, _mapping) = (tlb, mapping);
        Cpu->TlbRoot = _tlb.Root;
        Cpu->Window = 0;
        Cpu->RefreshMode();
        Cpu->Attention = 1;
    }

    /// <summary>Assembles 32-bit code to an address.</summary>
    /// <returns>The address behind the code.</returns>
    public uint Assemble(uint address, Action<Assembler> write, int bits = 32)
    {
        var assembler = new Assembler(bits);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), address);
        Write(address, stream.ToArray());
        return address + (uint)stream.Length;
    }

    /// <summary>Puts bytes into memory, as another writer of guest memory does.</summary>
    public void Write(uint address, params ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(new Span<byte>(Memory + address, bytes.Length));
        CodeMap.Written(Memory + address, bytes.Length);
    }

    /// <summary>Reads 32 bits of memory.</summary>
    public uint Read32(uint address) => *(uint*)(Memory + address);

    /// <summary>Writes 32 bits of memory.</summary>
    public void Write32(uint address, uint value) => Write(address, BitConverter.GetBytes(value));

    /// <summary>Makes the processor leave its loop at the next opportunity.</summary>
    public void Stop()
    {
        _stop = true;
        Cpu->Attention = 1;
    }

    public override SoftwareTlb? WindowedTlb(CpuState* cpu) => _tlb;

    public override bool TryResolve(CpuState* cpu, uint linear, MemoryAccess access, bool user, out byte* host, out PageFaultCode error)
    {
        Resolves++;
        lock (_gate)
        {
            return TryFill(linear, access, user, out host, out error);
        }
    }

    public override bool TryReadDescriptor(CpuState* cpu, ushort selector, out ulong descriptor)
    {
        descriptor = 0;
        if ((selector & 4) != 0 || selector >> 3 >= Gdt.Length)
        {
            return false;
        }

        descriptor = Gdt[selector >> 3];
        return true;
    }

    public override void DeliverFault(CpuState* cpu)
    {
        Faults.Add(cpu->Fault);
        FaultEips.Add(cpu->Eip);
        if (OnFault?.Invoke(cpu->Fault) != true)
        {
            Stop();
        }
    }

    public override void SoftwareInterrupt(CpuState* cpu, int vector, uint nextEip)
    {
        Interrupts.Add(vector);
        cpu->Eip = nextEip;
        if (OnInterrupt?.Invoke(vector) != true)
        {
            Stop();
        }
    }

    public override void Cpuid(CpuState* cpu, uint leaf, uint subleaf, out uint eax, out uint ebx, out uint ecx, out uint edx) =>
        (eax, ebx, ecx, edx) = (leaf + 1, subleaf + 2, 3, 4);

    public override ulong ReadTsc(CpuState* cpu) => Tsc++;

    public override bool ExecutePrivileged(CpuState* cpu, in Instruction instruction)
    {
        Privileged.Add(instruction.Mnemonic);
        cpu->Eip += (uint)instruction.Length;
        if (instruction.Mnemonic == Mnemonic.Hlt)
        {
            Stop();
        }

        return true;
    }

    public override bool Attend(CpuState* cpu)
    {
        cpu->Attention = 0;
        bool goOn = !_stop;
        _stop = false;
        return goOn;
    }

    public override void ProtectCode(uint frame)
    {
        _tlb.DropWritesTo(Memory + ((nuint)frame << 12));
        _other?.Tlb.DropWritesTo(Memory + ((nuint)frame << 12));
    }

    public override void ReportUnimplemented(CpuState* cpu, string name) => Unimplemented.Add(name);

    public void Dispose()
    {
        CpuState.Free(Cpu);
        Cpu = null;
        _tlb.Dispose();
        _other?.Tlb.Dispose();
        if (_file is null)
        {
            HostMemory.Release(Memory, Size);
        }

        _file?.Dispose();
        Memory = null;
    }

    private bool TryFill(uint linear, MemoryAccess access, bool user, out byte* host, out PageFaultCode error)
    {
        PageRights rights = linear < Size ? _rights[linear >> 12] : _mapping.ContainsKey(linear >> 12) ? PageRights.All : PageRights.None;
        bool write = access == MemoryAccess.Write;
        error = (write ? PageFaultCode.Write : 0) | (user ? PageFaultCode.User : 0);
        host = null;
        if ((rights & PageRights.Present) == 0)
        {
            return false;
        }

        if ((write && (rights & PageRights.Write) == 0) || (user && (rights & PageRights.User) == 0))
        {
            error |= PageFaultCode.Protection;
            return false;
        }

        uint frame = _mapping.GetValueOrDefault(linear >> 12, linear >> 12);
        host = Memory + ((nuint)frame << 12) + (linear & 0xFFF);
        if (!write || !CodeMap.HasCode(frame))
        {
            _tlb.Set(linear >> 12, access, user, Memory + ((nuint)frame << 12));
        }

        // What a platform must do for a window to hold what is only written.
        if (write && _tlb.Window is not null)
        {
            _tlb.Set(linear >> 12, MemoryAccess.Read, user, Memory + ((nuint)frame << 12));
        }

        return true;
    }
}
