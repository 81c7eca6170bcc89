using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dbt.Translator.Instructions;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.Interpretation.Threaded;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Interpretation;

internal sealed unsafe partial class Interpreter
{
    private const int KeptOfCrossing = SingleCache.Entries;
    private const int FirstKept = KeptOfCrossing + CrossingCache.Entries;

    private readonly List<DecodedInstruction> _decoded = [];
    private readonly List<InstructionRow?> _rows = [];
    private readonly CrossingCache _crossing = new();

    // Iced's forms: those of single instructions and of those across pages at their places in the caches, then those of blocks.
    private Instruction[] _kept = new Instruction[FirstKept + 256];
    private int _keptCount = FirstKept;
    private int _keptNext;

    /// <summary>Blocks decoded so far.</summary>
    public long BlocksDecoded { get; private set; }

    /// <summary>Host address of the code byte at EIP.</summary>
    /// <returns>False for #GP(0) outside CS, or #PF.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryFetch(CpuState* cpu, out byte* host)
    {
        uint eip = cpu->Eip;
        ref Segment cs = ref cpu->Segments[SegmentIndex.Cs];
        if (eip > cs.High || eip < cs.Low)
        {
            host = null;
            return GeneralProtection(cpu);
        }

        return TryResolve(cpu, cs.Base + eip, MemoryAccess.Execute, out host);
    }

    /// <summary>Whether all of a block's bytes are within CS's limit (the first is).</summary>
    public static bool InsideCodeSegment(CpuState* cpu, DecodedBlock block)
    {
        ref Segment cs = ref cpu->Segments[SegmentIndex.Cs];
        return block.Eip <= cs.High && cs.High - block.Eip >= (uint)(block.Length - 1);
    }

    /// <summary>
    /// Decodes a block at EIP, for this mode. Who is going to keep it has its frame held in the code map beforehand, so that a write
    /// that comes after the bytes were read is announced.
    /// </summary>
    /// <param name="cpu">The processor.</param>
    /// <param name="maxInstructions">Instructions at most.</param>
    /// <param name="block">The block. Not to be kept by others where <see cref="DecodedBlock.CrossesPage"/>.</param>
    /// <returns>False where not even the first instruction can be fetched: the fault is set.</returns>
    public bool TryDecodeBlock(CpuState* cpu, int maxInstructions, [NotNullWhen(true)] out DecodedBlock? block)
    {
        block = null;
        if (!TryFetch(cpu, out byte* host))
        {
            return false;
        }

        return TryDecode(cpu, host, maxInstructions, false, out block);
    }

    /// <summary>Decodes a block of flat code that isn't where the processor is. Its frame is held as for <see cref="TryDecodeBlock"/>.</summary>
    /// <returns>Null where its first instruction may lie in two pages.</returns>
    public DecodedBlock? DecodeAhead(CpuState* cpu, byte* host, uint eip, CpuMode mode, int maxInstructions)
    {
        if (CrossingCache.MayCross(host))
        {
            return null;
        }

        (uint, CpuMode, Segment) own = (cpu->Eip, cpu->Mode, cpu->Segments[SegmentIndex.Cs]);
        (cpu->Eip, cpu->Mode) = (eip, mode);
        cpu->Segments[SegmentIndex.Cs] = new Segment { High = uint.MaxValue };
        bool decoded = TryDecode(cpu, host, maxInstructions, false, out DecodedBlock? block);
        (cpu->Eip, cpu->Mode, cpu->Segments[SegmentIndex.Cs]) = own;
        return decoded ? block : null;
    }

    private bool TryDecode(CpuState* cpu, byte* host, int maxInstructions, bool single, [NotNullWhen(true)] out DecodedBlock? block)
    {
        block = CrossingCache.MayCross(host) ? FindCrossing(cpu, host) : null;
        if (block is not null)
        {
            return true;
        }

        BlocksDecoded += single ? 0 : 1;
        _decoded.Clear();
        _rows.Clear();
        _keptNext = single ? SingleCache.Index(host) : _keptCount;
        bool code32 = (cpu->Mode & CpuMode.Code32) != 0;
        byte* pageEnd = (byte*)(((ulong)host | 0xFFF) + 1);
        byte* position = host;
        uint eip = cpu->Eip;
        uint last = cpu->Segments[SegmentIndex.Cs].High;
        bool crosses = false;
        do
        {
            DecoderError error = Decoder.Read(position, pageEnd, eip, code32, out Instruction instruction);
            if (error == DecoderError.NoMoreBytes)
            {
                if (_decoded.Count != 0)
                {
                    break;
                }

                crosses = true;
                _keptNext = KeptOfCrossing + CrossingCache.Index(host);
                if (!TryReadAcross(cpu, position, pageEnd, code32, out instruction, out error))
                {
                    return false;
                }
            }

            bool tooLong = error != DecoderError.None && Decoder.Bytes.Length > 14;
            if (tooLong || eip > last || last - eip < (uint)(instruction.Length - 1))
            {
                if (_decoded.Count != 0)
                {
                    break;
                }

                return GeneralProtection(cpu);
            }

            bool ends = Append(cpu, instruction);
            position += instruction.Length;
            eip += (uint)instruction.Length;
            if (ends)
            {
                break;
            }
        }
        while (!crosses && position < pageEnd && _decoded.Count < maxInstructions);

        bool alone = single || crosses;
        if (!alone)
        {
            _keptCount = _keptNext;
        }

        ThreadedBlock* code = null;
        int weight = Weight();
        if (!alone)
        {
            code = _code.Add(cpu->Eip, cpu->Mode, host, Math.Max(1, ChainLimit / (uint)weight), CollectionsMarshal.AsSpan(_decoded), CollectionsMarshal.AsSpan(_rows));
            Jumps = _code.Jumps;
        }

        block = new DecodedBlock
        {
            Eip = cpu->Eip,
            Mode = cpu->Mode,
            Host = host,
            Length = (int)(position - host),
            Code = code,
            Single = alone ? [_decoded[0]] : [],
            CrossesPage = crosses,
            Weight = weight,
        };
        if (crosses && position > pageEnd)
        {
            _crossing.Add(block, Decoder.Bytes);
        }

        return true;
    }

    private DecodedBlock? FindCrossing(CpuState* cpu, byte* host)
    {
        uint next = ((cpu->Segments[SegmentIndex.Cs].Base + cpu->Eip) | 0xFFF) + 1;
        long entry = SoftwareTlb.ExecuteEntry(cpu, next >> 12);
        return entry != 0 && _crossing.Find(host, (byte*)(entry + next), cpu->Eip, cpu->Mode) is { } known && InsideCodeSegment(cpu, known) ? known : null;
    }

    /// <summary>What is called by way of a thunk, or from a table, takes several times as long as an instruction with a form of its own.</summary>
    private int Weight()
    {
        const int Thunk = 6;
        int sum = 0;
        foreach (InstructionRow? row in _rows)
        {
            sum += row is not null && (row.Traits & RowTraits.NativeThunk) != 0 ? Thunk : 1;
        }

        return Math.Max(1, sum / Math.Max(1, _rows.Count));
    }

    // An instruction whose first bytes end a page. The second page is asked for only now: it may be absent.
    private bool TryReadAcross(CpuState* cpu, byte* first, byte* pageEnd, bool code32, out Instruction instruction, out DecoderError error)
    {
        int room = (int)(pageEnd - first);
        instruction = default;
        error = DecoderError.None;
        uint next = cpu->Segments[SegmentIndex.Cs].Base + cpu->Eip + (uint)room;
        if (cpu->Segments[SegmentIndex.Cs].High - cpu->Eip < (uint)room)
        {
            return GeneralProtection(cpu);
        }

        if (!TryResolve(cpu, next, MemoryAccess.Execute, out byte* second))
        {
            return false;
        }

        byte* buffer = _scratch;
        Unsafe.CopyBlockUnaligned(buffer, first, (uint)room);
        Unsafe.CopyBlockUnaligned(buffer + room, second, 16);
        error = Decoder.Read(buffer, buffer + room + 16, cpu->Eip, code32, out instruction);
        return true;
    }

    private bool Append(CpuState* cpu, in Instruction instruction)
    {
        if (instruction.IsInvalid)
        {
            Add(Stub(instruction, &UndefinedOpcode), null);
            return true;
        }

        InstructionRow? row = InstructionTable.Lookup(instruction);
        if (row == null || row.Execute == null)
        {
            var missing = Stub(instruction, &NotImplemented);
            missing.Extra = (uint)instruction.Mnemonic;
            Add(missing, null);
            return true;
        }

        if ((cpu->Mode & CpuMode.User) == 0 && instruction.MemorySegment == Iced.Intel.Register.GS)
        {
            // In force from the next change of mode on; until then it goes the slower way.
            cpu->KernelUsesGs = 1;
        }

        DecodedInstruction d = InstructionDecoder.Compact(instruction, row, cpu->Mode);
        if ((row.Traits & RowTraits.KeepsInstruction) != 0)
        {
            if (_keptNext == _kept.Length)
            {
                Array.Resize(ref _kept, _kept.Length * 2);
            }

            d.Kept = _keptNext;
            _kept[_keptNext++] = instruction;
        }

        if ((row.Traits & RowTraits.NativeThunk) != 0)
        {
            int thunk = NativeThunks.Find(instruction, _portable);
            if (thunk < 0)
            {
                d.Handler = &NotImplemented;
                d.Extra = (uint)instruction.Mnemonic;
                Add(d, null);
                return true;
            }

            d.Extra = (uint)thunk;
            d.Immediate = CoprocessorOpcode(Decoder.Bytes);
        }

        Add(d, row);
        return (row.Traits & RowTraits.EndsBlock) != 0;
    }

    private void Add(in DecodedInstruction d, InstructionRow? row)
    {
        _decoded.Add(d);
        _rows.Add(row);
    }

    // What the x87 keeps of its last instruction: the low bits of the first byte, and the second (SDM vol. 1, 8.1.9). 0 for all others.
    internal static uint CoprocessorOpcode(ReadOnlySpan<byte> bytes)
    {
        int first = 0;
        while (first < bytes.Length - 1 && bytes[first] is 0x26 or 0x2E or 0x36 or 0x3E or 0x64 or 0x65 or 0x66 or 0x67 or 0xF0 or 0xF2 or 0xF3)
        {
            first++;
        }

        return first < bytes.Length - 1 && (bytes[first] & 0xF8) == 0xD8 ? ((bytes[first] & 7u) << 8) | bytes[first + 1] : 0;
    }

    private static DecodedInstruction Stub(in Instruction instruction, delegate*<Interpreter, CpuState*, in DecodedInstruction, bool> handler) => new()
    {
        Handler = handler,
        Length = (byte)instruction.Length,
        NextEip = instruction.NextIP32,
    };

    private static bool UndefinedOpcode(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Undefined(cpu);

    private static bool NotImplemented(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        interpreter.Platform.ReportUnimplemented(cpu, ((Mnemonic)d.Extra).ToString());
        return Undefined(cpu);
    }
}
