using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>
/// The machine code of a function in a better order: what may be gone through behind each other, and behind all of it what only leads back to the dispatcher. RyuJIT takes any branch for as likely as not, so that the
/// instructions of a side exit, and of the moves before it, lie between those that always run. What is left out (<see cref="WindowAccesses"/>) takes no room.
/// </summary>
internal sealed unsafe class CodeLayout
{
    private readonly byte* _function;
    private readonly MachineFlow _flow;
    private readonly List<MachineBlock> _order;
    private readonly Dictionary<ulong, byte[]> _replaced;
    private readonly Dictionary<ulong, int> _at = [];

    /// <summary>Finds the places.</summary>
    /// <param name="function">The function's first byte.</param>
    /// <param name="instructions">Its instructions by their offsets.</param>
    /// <param name="accesses">What is left out or changed; null for nothing.</param>
    /// <param name="replaced">What stands in an instruction's place.</param>
    public CodeLayout(byte* function, SortedDictionary<ulong, Instruction> instructions, WindowAccesses? accesses, Dictionary<ulong, byte[]> replaced)
    {
        _function = function;
        _replaced = replaced;
        _flow = new MachineFlow(instructions, accesses, _replaced);
        _order = [.. _flow.Blocks.Where(static block => block.IsHot), .. _flow.Blocks.Where(static block => !block.IsHot)];
        for (int i = 0; i < _order.Count; i++)
        {
            End(_order[i], i + 1 < _order.Count ? _order[i + 1] : null);
        }

        Length = Place();
        foreach (MachineBlock block in _order)
        {
            int at = block.Place;
            foreach (Instruction instruction in block.Body)
            {
                _at.Add(instruction.IP, at);
                at += _flow.LengthOf(instruction);
            }
        }
    }

    /// <summary>Bytes of all instructions.</summary>
    public int Length { get; }

    /// <summary>The new place of an instruction that is no jump, or of the first one of a block.</summary>
    public int At(ulong offset) => _at.TryGetValue(offset, out int at) ? at : _flow.BlockAt(offset).Place;

    /// <summary>Writes them.</summary>
    public void CopyTo(Span<byte> bytes)
    {
        foreach (MachineBlock block in _order)
        {
            int at = block.Place;
            foreach (Instruction instruction in block.Body)
            {
                ReadOnlySpan<byte> code = _replaced.TryGetValue(instruction.IP, out byte[]? replaced) ? replaced : new ReadOnlySpan<byte>(_function + instruction.IP, instruction.Length);
                code.CopyTo(bytes[at..]);
                at += code.Length;
            }

            foreach (MachineJump jump in block.Jumps)
            {
                jump.CopyTo(bytes, at);
                at += jump.Length;
            }
        }
    }

    /// <summary>The jumps at a block's end.</summary>
    /// <param name="block">The block.</param>
    /// <param name="behind">What comes behind it, null at the end.</param>
    private static void End(MachineBlock block, MachineBlock? behind)
    {
        MachineBlock? next = block.Next;
        if (block.Branch is { } branch && branch != next)
        {
            // The other way around, where that saves a jump.
            bool inverted = branch == behind;
            block.Jumps.Add(new MachineJump(inverted ? next! : branch, inverted ? Invert(block.Condition) : block.Condition));
            next = inverted ? branch : next;
        }

        if (next is not null && next != behind)
        {
            block.Jumps.Add(new MachineJump(next, ConditionCode.None));
        }
    }

    /// <summary>Gives each block its place. All jumps are short at first; those that don't reach grow, until all do.</summary>
    private int Place()
    {
        while (true)
        {
            int at = 0;
            foreach (MachineBlock block in _order)
            {
                block.Place = at;
                at += block.BodyLength + block.Jumps.Sum(static jump => jump.Length);
            }

            bool grown = false;
            foreach (MachineBlock block in _order)
            {
                int from = block.Place + block.BodyLength;
                foreach (MachineJump jump in block.Jumps)
                {
                    grown |= jump.Grow(from);
                    from += jump.Length;
                }
            }

            if (!grown)
            {
                return at;
            }
        }
    }

    // Conditions come in pairs: Iced's first one is 1.
    private static ConditionCode Invert(ConditionCode condition) => (ConditionCode)((((int)condition - 1) ^ 1) + 1);
}
