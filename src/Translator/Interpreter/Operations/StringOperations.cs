using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>
/// MOVS, CMPS, STOS, LODS, SCAS with and without REP. A repeated one keeps its progress in ECX, ESI and EDI, so it can be left
/// after any iteration and taken up again: for a fault, for Attention. Every routine sets EIP itself.
/// Within a page, forward runs are done at once.
/// </summary>
internal static unsafe class StringOperations
{
    /// <summary>Iterations between two looks at Attention where they are done one by one.</summary>
    private const int PollInterval = 256;

    /// <summary>MOVS.</summary>
    public static bool Movs(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        Repeat<MovsStep>(interpreter, cpu, in d, (d.Flags & (DecodedFlags.Rep | DecodedFlags.Repne)) != 0, 0);

    /// <summary>STOS.</summary>
    public static bool Stos(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        Repeat<StosStep>(interpreter, cpu, in d, (d.Flags & (DecodedFlags.Rep | DecodedFlags.Repne)) != 0, 0);

    /// <summary>LODS.</summary>
    public static bool Lods(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        Repeat<LodsStep>(interpreter, cpu, in d, (d.Flags & (DecodedFlags.Rep | DecodedFlags.Repne)) != 0, 0);

    /// <summary>CMPS; REPE and REPNE end at the first difference or match.</summary>
    public static bool Cmps(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        Repeat<CmpsStep>(interpreter, cpu, in d, (d.Flags & (DecodedFlags.Rep | DecodedFlags.Repne)) != 0, StopWhen(in d));

    /// <summary>SCAS.</summary>
    public static bool Scas(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        Repeat<ScasStep>(interpreter, cpu, in d, (d.Flags & (DecodedFlags.Rep | DecodedFlags.Repne)) != 0, StopWhen(in d));

    // 1: a repetition ends when ZF is clear (REPE); 2: when it is set (REPNE).
    private static int StopWhen(in DecodedInstruction d) => (d.Flags & DecodedFlags.Repne) != 0 ? 2 : 1;

    private static bool Repeat<TStep>(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, bool repeated, int stopWhen)
        where TStep : struct, IStringStep
    {
        var run = new StringRun(cpu, in d);
        if (!repeated)
        {
            if (!TStep.One(interpreter, cpu, in d, ref run))
            {
                return false;
            }

            run.Advance(1, TStep.MovesSource, TStep.MovesDestination);
            run.StorePointers(cpu, TStep.MovesSource, TStep.MovesDestination);
            cpu->Eip = d.NextEip;
            return true;
        }

        bool trace = (cpu->Eflags & Flags.Tf) != 0;
        bool singly = trace || run.Backward || (cpu->Mode & CpuMode.Watched) != 0;
        int left = PollInterval;
        bool completed = true;
        bool finished = run.Count == 0;
        while (!finished)
        {
            uint done = singly ? 0 : TStep.Many(interpreter, cpu, in d, ref run, stopWhen);
            if (done == 0)
            {
                if (!TStep.One(interpreter, cpu, in d, ref run))
                {
                    completed = false;
                    break;
                }

                done = 1;
                left--;
            }
            else
            {
                left -= PollInterval / 4;
            }

            run.Advance(done, TStep.MovesSource, TStep.MovesDestination);
            run.Count -= done;
            finished = run.Count == 0 || (stopWhen != 0 && (LazyFlags.Status(cpu) & Flags.Zf) != 0 == (stopWhen == 2));

            // A repetition that overwrites its own bytes goes on with what it was, as processors do.
            if (trace || cpu->BreakpointHits != 0)
            {
                break;
            }

            if (left <= 0)
            {
                left = PollInterval;
                if (cpu->Attention != 0)
                {
                    break;
                }
            }
        }

        run.StorePointers(cpu, TStep.MovesSource, TStep.MovesDestination);
        run.StoreCount(cpu);
        if (finished)
        {
            cpu->Eip = d.NextEip;
        }

        interpreter.Repeating = !finished;
        return completed;
    }
}

/// <summary>Where a string instruction has got to: its registers, in locals.</summary>
internal unsafe struct StringRun
{
    /// <summary>Offsets of the next source and destination element, truncated to the address size.</summary>
    public uint Source, Destination;

    /// <summary>Repetitions left.</summary>
    public uint Count;

    /// <summary>Mask of the address size.</summary>
    public uint AddressMask;

    /// <summary>Element size in bytes.</summary>
    public int Size;

    /// <summary>EFLAGS.DF.</summary>
    public bool Backward;

    public StringRun(CpuState* cpu, in DecodedInstruction d)
    {
        AddressMask = (d.Flags & DecodedFlags.Address16) != 0 ? 0xFFFF : uint.MaxValue;
        Source = cpu->Gpr[(int)Gpr.Esi] & AddressMask;
        Destination = cpu->Gpr[(int)Gpr.Edi] & AddressMask;
        Count = cpu->Gpr[(int)Gpr.Ecx] & AddressMask;
        Size = d.Size;
        Backward = (cpu->Eflags & Flags.Df) != 0;
    }

    /// <summary>Elements that can be done at once at a forward run's offset: to the page's end, the segment's end, the count.</summary>
    public readonly uint Room(CpuState* cpu, SegmentIndex segment, uint offset, MemoryAccess access, out uint linear)
    {
        ref Segment s = ref cpu->Segments[segment];
        linear = s.Base + offset;
        bool permitted = access == MemoryAccess.Write ? s.Writable : s.Readable;
        if (!permitted || offset < s.Low || offset > s.High)
        {
            return 0;
        }

        uint bytes = 4096 - (linear & 0xFFF);
        bytes = Math.Min(bytes, Math.Min(s.High, AddressMask) - offset); // one byte less than there is; the last goes singly
        return Math.Min(bytes / (uint)Size, Count);
    }

    /// <summary>Moves the pointers by elements.</summary>
    public void Advance(uint elements, bool source, bool destination)
    {
        uint bytes = elements * (uint)Size;
        uint delta = Backward ? 0 - bytes : bytes;
        if (source)
        {
            Source = (Source + delta) & AddressMask;
        }

        if (destination)
        {
            Destination = (Destination + delta) & AddressMask;
        }
    }

    /// <summary>Writes the pointers back; only 16 bits with 16-bit addresses.</summary>
    public readonly void StorePointers(CpuState* cpu, bool source, bool destination)
    {
        int width = AddressMask == uint.MaxValue ? 4 : 2;
        if (source)
        {
            Interpreter.Store((byte*)(cpu->Gpr + (int)Gpr.Esi), width, Source);
        }

        if (destination)
        {
            Interpreter.Store((byte*)(cpu->Gpr + (int)Gpr.Edi), width, Destination);
        }
    }

    /// <summary>Writes the count back.</summary>
    public readonly void StoreCount(CpuState* cpu) =>
        Interpreter.Store((byte*)(cpu->Gpr + (int)Gpr.Ecx), AddressMask == uint.MaxValue ? 4 : 2, Count);
}

/// <summary>One string instruction's work on one element, and on many.</summary>
internal unsafe interface IStringStep
{
    /// <summary>Whether ESI moves.</summary>
    static abstract bool MovesSource { get; }

    /// <summary>Whether EDI moves.</summary>
    static abstract bool MovesDestination { get; }

    /// <summary>One element; false for a fault.</summary>
    static abstract bool One(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ref StringRun run);

    /// <summary>As many elements as lie in one page, forward; 0 where it has to be done one by one.</summary>
    static abstract uint Many(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ref StringRun run, int stopWhen);
}

/// <summary>MOVS.</summary>
internal readonly unsafe struct MovsStep : IStringStep
{
    public static bool MovesSource => true;

    public static bool MovesDestination => true;

    public static bool One(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ref StringRun run)
    {
        byte* source = interpreter.OpenAt(cpu, (SegmentIndex)d.Segment, run.Source, run.Size, MemoryAccess.Read);
        if (source == null)
        {
            return false;
        }

        uint value = Interpreter.Load(source, run.Size);
        byte* destination = interpreter.OpenAt(cpu, SegmentIndex.Es, run.Destination, run.Size, MemoryAccess.Write);
        if (destination == null)
        {
            return false;
        }

        Interpreter.Store(destination, run.Size, value);
        interpreter.Commit(cpu);
        return true;
    }

    public static uint Many(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ref StringRun run, int stopWhen)
    {
        uint count = Math.Min(
            run.Room(cpu, (SegmentIndex)d.Segment, run.Source, MemoryAccess.Read, out uint from),
            run.Room(cpu, SegmentIndex.Es, run.Destination, MemoryAccess.Write, out uint to));
        if (count < 2 || !interpreter.TryResolve(cpu, from, MemoryAccess.Read, out byte* source)
            || !interpreter.TryResolve(cpu, to, MemoryAccess.Write, out byte* destination))
        {
            return 0;
        }

        uint bytes = count * (uint)run.Size;
        if (destination > source && destination < source + bytes)
        {
            // Overlapping forward: each element is read after those before it were written, which repeats a pattern.
            for (uint i = 0; i < bytes; i += (uint)run.Size)
            {
                Interpreter.Store(destination + i, run.Size, Interpreter.Load(source + i, run.Size));
            }
        }
        else
        {
            Buffer.MemoryCopy(source, destination, bytes, bytes);
        }

        interpreter.Written(cpu, destination, (int)bytes);
        return count;
    }
}

/// <summary>STOS.</summary>
internal readonly unsafe struct StosStep : IStringStep
{
    public static bool MovesSource => false;

    public static bool MovesDestination => true;

    public static bool One(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ref StringRun run)
    {
        byte* destination = interpreter.OpenAt(cpu, SegmentIndex.Es, run.Destination, run.Size, MemoryAccess.Write);
        if (destination == null)
        {
            return false;
        }

        Interpreter.Store(destination, run.Size, cpu->Gpr[0]);
        interpreter.Commit(cpu);
        return true;
    }

    public static uint Many(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ref StringRun run, int stopWhen)
    {
        uint count = run.Room(cpu, SegmentIndex.Es, run.Destination, MemoryAccess.Write, out uint to);
        if (count < 2 || !interpreter.TryResolve(cpu, to, MemoryAccess.Write, out byte* destination))
        {
            return 0;
        }

        uint value = cpu->Gpr[0];
        switch (run.Size)
        {
            case 1:
                new Span<byte>(destination, (int)count).Fill((byte)value);
                break;
            case 2:
                new Span<ushort>(destination, (int)count).Fill((ushort)value);
                break;
            default:
                new Span<uint>(destination, (int)count).Fill(value);
                break;
        }

        interpreter.Written(cpu, destination, (int)count * run.Size);
        return count;
    }
}

/// <summary>LODS.</summary>
internal readonly unsafe struct LodsStep : IStringStep
{
    public static bool MovesSource => true;

    public static bool MovesDestination => false;

    public static bool One(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ref StringRun run)
    {
        byte* source = interpreter.OpenAt(cpu, (SegmentIndex)d.Segment, run.Source, run.Size, MemoryAccess.Read);
        if (source == null)
        {
            return false;
        }

        Interpreter.Store((byte*)cpu->Gpr, run.Size, Interpreter.Load(source, run.Size));
        return true;
    }

    public static uint Many(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ref StringRun run, int stopWhen) => 0;
}

/// <summary>CMPS: source - destination.</summary>
internal readonly unsafe struct CmpsStep : IStringStep
{
    // Where both operands fault, the one that is read first is seen. The manual doesn't say which that is: Intel's processors read the
    // destination first, AMD's the source, and a guest gets what its host has.
    private static readonly bool SourceFirst = IsAmd();

    public static bool MovesSource => true;

    public static bool MovesDestination => true;

    public static bool One(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ref StringRun run)
    {
        uint a, b;
        if (SourceFirst)
        {
            if (!TrySource(interpreter, cpu, in d, ref run, out a) || !TryDestination(interpreter, cpu, ref run, out b))
            {
                return false;
            }
        }
        else if (!TryDestination(interpreter, cpu, ref run, out b) || !TrySource(interpreter, cpu, in d, ref run, out a))
        {
            return false;
        }

        Compare(cpu, run.Size, a, b);
        return true;
    }

    // "AuthenticAMD" begins with these letters.
    private static bool IsAmd() => X86Base.IsSupported && X86Base.CpuId(0, 0).Ebx == 0x68747541;

    private static bool TrySource(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ref StringRun run, out uint value) =>
        TryLoad(interpreter.OpenAt(cpu, (SegmentIndex)d.Segment, run.Source, run.Size, MemoryAccess.Read), run.Size, out value);

    private static bool TryDestination(Interpreter interpreter, CpuState* cpu, ref StringRun run, out uint value) =>
        TryLoad(interpreter.OpenAt(cpu, SegmentIndex.Es, run.Destination, run.Size, MemoryAccess.Read), run.Size, out value);

    private static bool TryLoad(byte* host, int size, out uint value)
    {
        value = host == null ? 0 : Interpreter.Load(host, size);
        return host != null;
    }

    public static uint Many(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ref StringRun run, int stopWhen)
    {
        uint count = Math.Min(
            run.Room(cpu, (SegmentIndex)d.Segment, run.Source, MemoryAccess.Read, out uint from),
            run.Room(cpu, SegmentIndex.Es, run.Destination, MemoryAccess.Read, out uint to));
        if (count < 2 || stopWhen != 1 || !interpreter.TryResolve(cpu, from, MemoryAccess.Read, out byte* source)
            || !interpreter.TryResolve(cpu, to, MemoryAccess.Read, out byte* destination))
        {
            return 0;
        }

        // Equal bytes first; the element that holds the first difference, or the last one, sets the flags.
        int bytes = (int)count * run.Size;
        int same = new ReadOnlySpan<byte>(source, bytes).CommonPrefixLength(new ReadOnlySpan<byte>(destination, bytes));
        uint last = Math.Min((uint)(same / run.Size), count - 1);
        byte* a = source + (last * (uint)run.Size);
        byte* b = destination + (last * (uint)run.Size);
        Compare(cpu, run.Size, Interpreter.Load(a, run.Size), Interpreter.Load(b, run.Size));
        return last + 1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Compare(CpuState* cpu, int size, uint a, uint b) =>
        LazyFlags.Set(cpu, FlagOperation.Subtract, size, a, b, (a - b) & Interpreter.Mask(size));
}

/// <summary>SCAS: accumulator - destination.</summary>
internal readonly unsafe struct ScasStep : IStringStep
{
    public static bool MovesSource => false;

    public static bool MovesDestination => true;

    public static bool One(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ref StringRun run)
    {
        byte* destination = interpreter.OpenAt(cpu, SegmentIndex.Es, run.Destination, run.Size, MemoryAccess.Read);
        if (destination == null)
        {
            return false;
        }

        CmpsStep.Compare(cpu, run.Size, cpu->Gpr[0] & Interpreter.Mask(run.Size), Interpreter.Load(destination, run.Size));
        return true;
    }

    public static uint Many(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ref StringRun run, int stopWhen)
    {
        uint count = run.Room(cpu, SegmentIndex.Es, run.Destination, MemoryAccess.Read, out uint to);
        if (count < 2 || !interpreter.TryResolve(cpu, to, MemoryAccess.Read, out byte* destination))
        {
            return 0;
        }

        uint value = cpu->Gpr[0] & Interpreter.Mask(run.Size);
        int found = run.Size switch
        {
            1 => Find(new ReadOnlySpan<byte>(destination, (int)count), (byte)value, stopWhen),
            2 => Find(new ReadOnlySpan<ushort>(destination, (int)count), (ushort)value, stopWhen),
            _ => Find(new ReadOnlySpan<uint>(destination, (int)count), value, stopWhen),
        };
        uint last = found < 0 ? count - 1 : (uint)found;
        CmpsStep.Compare(cpu, run.Size, value, Interpreter.Load(destination + (last * (uint)run.Size), run.Size));
        return last + 1;
    }

    private static int Find<T>(ReadOnlySpan<T> elements, T value, int stopWhen)
        where T : unmanaged, IEquatable<T> =>
        stopWhen == 2 ? elements.IndexOf(value) : elements.IndexOfAnyExcept(value);
}
