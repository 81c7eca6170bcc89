using System.Buffers.Binary;
using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>
/// Instructions of a compiled function put behind each other, without what is never reached and what is left out (<see cref="WindowAccesses"/>). Each keeps its length, so that every branch still reaches: nothing gets
/// further away.
/// </summary>
internal sealed unsafe class CodeLayout
{
    private const byte OneByteNop = 0x90, JumpShort = 0xEB, JumpNear = 0xE9;
    private const int ShortBytes = 2;

    private readonly byte* _function;
    private readonly SortedDictionary<ulong, Instruction> _instructions;
    private readonly WindowAccesses? _accesses;
    private readonly Dictionary<ulong, int> _at = [];

    /// <summary>Finds the places.</summary>
    /// <param name="function">The function's first byte.</param>
    /// <param name="instructions">Its instructions by their offsets.</param>
    /// <param name="accesses">What is left out or changed; null for nothing.</param>
    public CodeLayout(byte* function, SortedDictionary<ulong, Instruction> instructions, WindowAccesses? accesses)
    {
        _function = function;
        _instructions = instructions;
        _accesses = accesses;
        foreach ((ulong offset, Instruction instruction) in instructions)
        {
            // Who goes to one that is left out goes to what follows it.
            _at.Add(offset, Length);
            Length += accesses?.Erased.Contains(offset) == true ? 0 : instruction.Length;
        }
    }

    /// <summary>Bytes of all instructions.</summary>
    public int Length { get; }

    /// <summary>The new place of an instruction.</summary>
    public int At(ulong offset) => _at[offset];

    /// <summary>Writes them.</summary>
    public void CopyTo(Span<byte> bytes)
    {
        foreach ((ulong offset, Instruction instruction) in _instructions)
        {
            if (_accesses?.Erased.Contains(offset) == true)
            {
                continue;
            }

            int at = At(offset);
            Span<byte> to = bytes.Slice(at, instruction.Length);
            new ReadOnlySpan<byte>(_function + offset, instruction.Length).CopyTo(to);
            if (instruction.FlowControl is not (FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch))
            {
                continue;
            }

            if (_accesses?.Always.Contains(offset) == true)
            {
                to[0] = instruction.Length == ShortBytes ? JumpShort : OneByteNop;
                if (instruction.Length != ShortBytes)
                {
                    to[1] = JumpNear;
                }
            }

            int distance = At(instruction.NearBranchTarget) - (at + instruction.Length);
            if (instruction.Length == ShortBytes)
            {
                to[1] = unchecked((byte)checked((sbyte)distance));
            }
            else
            {
                BinaryPrimitives.WriteInt32LittleEndian(to[^sizeof(int)..], distance);
            }
        }
    }
}
