using Dbt.Translator.Instructions;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>
/// The direct-threaded code of one interpreter, in native memory, and the table by which computed jumps find it. Nothing is freed one by
/// one: a block that is void stays where it is (it may be running), and all go together.
/// </summary>
internal sealed unsafe class ThreadedCode : IDisposable
{
    private const int SlabBytes = 1 << 20;
    private const int MaxSlabs = 128;

    private readonly List<nint> _slabs = [];
    private int _slabsUsed;
    private byte* _hot, _hotEnd, _cold, _coldEnd;
    private ThreadedBlock* _unlinked;

    /// <summary>Where its computed jumps went.</summary>
    public JumpTargets Targets { get; } = new();

    /// <summary>Where blocks are by EIP: see <see cref="Chain.JumpIndex"/>. Null before the first block.</summary>
    public ThreadedBlock** Jumps { get; private set; }

    /// <summary>Whether it is time to start afresh.</summary>
    public bool IsFull => _slabsUsed >= MaxSlabs;

    /// <summary>Makes a block.</summary>
    /// <param name="eip">EIP of its first instruction.</param>
    /// <param name="mode">Its mode.</param>
    /// <param name="host">Host address of its first byte.</param>
    /// <param name="limit">Executions before the engine wants to see it; at least 1.</param>
    /// <param name="instructions">Its instructions.</param>
    /// <param name="rows">Their rows; null for what is only a fault.</param>
    public ThreadedBlock* Add(uint eip, CpuMode mode, byte* host, uint limit, ReadOnlySpan<DecodedInstruction> instructions, ReadOnlySpan<InstructionRow?> rows)
    {
        if (Jumps == null)
        {
            Start();
        }

        // The last op's links, and what may follow it.
        var block = (ThreadedBlock*)Take(ref _hot, ref _hotEnd, (instructions.Length + 3) * Op.Bytes);
        var general = (DecodedInstruction*)Take(ref _cold, ref _coldEnd, instructions.Length * sizeof(DecodedInstruction));
        bool linked = (mode & CpuMode.Flat) != 0;
        *block = new ThreadedBlock
        {
            ExecuteEntry = linked ? (long)host - eip : ThreadedBlock.Never,
            Eip = eip,
            Mode = mode,
            Granted = limit,
            Left = limit,
        };
        Op* op = ThreadedBlock.First(block);
        for (int i = 0; i < instructions.Length; i++)
        {
            general[i] = instructions[i];
            *op = OpBuilder.Make(general + i, rows[i], i);
            if (i != 0 && rows[i - 1] is { } before && rows[i] is { } row && OpBuilder.Fuse(general + i - 1, before, row) is var routine && routine != null)
            {
                op[-1].Routine = routine;
            }

            op++;
        }

        if (rows[^1] is { } last && (last.Traits & RowTraits.EndsBlock) == 0)
        {
            *op++ = new Op
            {
                Routine = linked ? &GeneralOps.FallThrough : &GeneralOps.FallOut,
                Immediate = instructions[^1].NextEip,
                Number = (ushort)instructions.Length,
            };
        }

        ThreadedBlock** links = Op.Links(op - 1);
        links[0] = links[1] = _unlinked;
        ref readonly DecodedInstruction jump = ref instructions[^1];
        if (FlowOps.IsComputedJump(in jump, rows[^1]))
        {
            // It goes by the table of jumps, and has no links.
            uint at = jump.NextEip - jump.Length;
            links[0] = (ThreadedBlock*)Targets.Ring(host + (at - eip), at);
        }

        return block;
    }

    /// <summary>Forgets all blocks; none may be running.</summary>
    public void Clear()
    {
        if (Jumps == null)
        {
            return;
        }

        _slabsUsed = 0;
        Targets.Clear();
        _hot = _hotEnd = _cold = _coldEnd = null;
        Fill();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (nint slab in _slabs)
        {
            HostMemory.Release((byte*)slab, SlabBytes);
        }

        _slabs.Clear();
        Targets.Dispose();
        if (Jumps != null)
        {
            HostMemory.Release((byte*)Jumps, (nuint)JumpBytes);
            Jumps = null;
        }
    }

    private static int JumpBytes => (Interpreter.JumpEntries * sizeof(nint)) + 4096;

    private void Start()
    {
        Jumps = (ThreadedBlock**)HostMemory.Reserve((nuint)JumpBytes);
        _unlinked = (ThreadedBlock*)(Jumps + Interpreter.JumpEntries);
        _unlinked->ExecuteEntry = ThreadedBlock.Never;
        Fill();
    }

    private void Fill() => new Span<nint>(Jumps, Interpreter.JumpEntries).Fill((nint)_unlinked);

    private byte* Take(ref byte* next, ref byte* end, int bytes)
    {
        if (end - next < bytes)
        {
            if (_slabsUsed == _slabs.Count)
            {
                _slabs.Add((nint)HostMemory.Reserve(SlabBytes));
            }

            next = (byte*)_slabs[_slabsUsed++];
            end = next + SlabBytes;
        }

        byte* taken = next;
        next += (bytes + 63) & ~63;
        return taken;
    }
}
