namespace Dbt.Perf.Fuzz.Attackers;

/// <summary>Writes a case's attack into an attacker: what its hypercalls point at, its grants, and the scripts of its processors.</summary>
internal sealed class AttackWriter
{
    private readonly FuzzInput _input;
    private readonly Attacker _attacker;
    private readonly AttackValues _values;
    private readonly HypercallShape[] _shapes;
    private readonly List<(uint Step, string Asked)> _asked = [];
    private uint _free = Attacker.Arguments;

    /// <param name="input">The case.</param>
    /// <param name="attacker">What is written into.</param>
    /// <param name="values">Where numbers come from.</param>
    /// <param name="shapes">Hypercalls to draw from.</param>
    public AttackWriter(FuzzInput input, Attacker attacker, AttackValues values, HypercallShape[] shapes) =>
        (_input, _attacker, _values, _shapes) = (input, attacker, values, shapes);

    /// <summary>Grants of its own pages, more or less.</summary>
    public void WriteGrants()
    {
        int count = _input.Below(16);
        for (uint i = 0; i < count; i++)
        {
            uint at = Attacker.GrantFrame + (i * 8);
            uint flags = _input.Of<uint>([1, 1, 1, 5, 2, 3, 0, 0x101, 0x19, 0xFFFF]);
            _attacker.Word(at + 4) = _values.Frame();
            _attacker.Word(at) = flags | (_values.Domain() << 16);
        }
    }

    /// <summary>A script of at most so many steps.</summary>
    /// <param name="processor">Whose.</param>
    /// <param name="most">Most steps.</param>
    /// <param name="memoryInEight">How many of eight steps touch memory rather than make a hypercall.</param>
    public void WriteScript(int processor, int most, int memoryInEight)
    {
        int steps = Math.Min(most, AttackScript.Steps);
        for (int i = 0; i < steps && _input.HasMore; i++)
        {
            uint step = Attacker.ScriptOf(processor) + ((uint)i * AttackScript.StepBytes);
            if (_input.Below(8) < memoryInEight)
            {
                WriteMemoryStep(step);
            }
            else
            {
                WriteHypercall(step, (uint)AttackOperation.Hypercall);
            }
        }
    }

    /// <summary>Tells what came of the steps.</summary>
    public void Note(FuzzNotes notes)
    {
        foreach ((uint step, string asked) in _asked)
        {
            bool survived = _attacker.Word(step) == AttackScript.Survived;
            var result = (int)_attacker.Word(step + 4);

            // Numbers that are no errors all mean that it did something.
            notes.Met(asked, !survived ? long.MinValue : result is < 0 and > -200 ? result : 0);
        }
    }

    private void WriteMemoryStep(uint step)
    {
        AttackOperation operation = _input.Of(
            [AttackOperation.Read, AttackOperation.Write, AttackOperation.WriteByte, AttackOperation.Exchange8, AttackOperation.Exchange, AttackOperation.Or, AttackOperation.Copy, AttackOperation.Code]);
        _attacker.Word(step) = (uint)operation;
        if (operation == AttackOperation.Code)
        {
            WriteCode(step);
            return;
        }

        _attacker.Word(step + 4) = _values.Linear();
        ulong entry = _values.Entry();
        _attacker.Word(step + 8) = operation == AttackOperation.Copy ? _values.Linear() : (uint)entry;
        _attacker.Word(step + 12) = operation == AttackOperation.Copy ? _input.Word() : (uint)(entry >> 32);
        _asked.Add((step, operation.ToString()));
    }

    // Bytes, and a jump to the next step: to the first instruction, which goes on where the position says.
    private unsafe void WriteCode(uint step)
    {
        uint at = step + AttackScript.CodeOffset;
        _input.Fill(new Span<byte>(_attacker.At(at), AttackScript.CodeBytes));
        uint end = at + AttackScript.CodeBytes;
        *_attacker.At(end) = 0xE9;
        *(uint*)_attacker.At(end + 1) = Attacker.Programs - (end + 5);
    }

    private void WriteHypercall(uint at, uint first)
    {
        HypercallShape shape = _shapes[_input.Below(_shapes.Length)];
        bool nested = first == 0;
        var asked = new System.Text.StringBuilder().Append(shape.Number);
        Span<uint> words = stackalloc uint[8];
        words.Clear();
        int next = 2;
        for (int i = 0; i < shape.Arguments.Length && next < words.Length; i++)
        {
            char kind = shape.Arguments[i];
            ulong value = Argument(kind, shape, nested, asked);
            words[next++] = (uint)value;
            if (kind is 'e' or 'A' && next < words.Length)
            {
                words[next++] = (uint)(value >> 32);
            }
        }

        // Now and then one argument is anything at all.
        if (_input.OneIn(12))
        {
            words[2 + _input.Below(6)] = _values.Any();
        }

        if (nested)
        {
            // struct multicall_entry: operation, result, arguments.
            (words[0], words[1]) = ((uint)shape.Number, 0);
        }
        else
        {
            (words[0], words[1]) = (first, (uint)shape.Number);
            _asked.Add((at, asked.ToString()));
        }

        for (uint i = 0; i < words.Length; i++)
        {
            _attacker.Word(at + (i * 4)) = words[(int)i];
        }
    }

    private ulong Argument(char kind, HypercallShape shape, bool nested, System.Text.StringBuilder asked)
    {
        switch (kind)
        {
            case 'c':
                int command = _input.Below(shape.Commands);
                asked.Append('.').Append(command);
                return (uint)command;
            case 'n':
                return (uint)(_input.OneIn(16) ? (int)_values.Any() : _input.Below(5));
            case 'z':
                return _input.OneIn(4) ? _values.Pointer() : 0;
            case 'd':
                return _values.Domain();
            case 'a':
                return _values.Linear();
            case 'e':
                return _values.Entry();
            case 'A':
                return _values.EntryAddress();
            case 'v':
                return _values.Any();
            default:
                return _input.OneIn(16) || nested ? _values.Pointer() : Structure(kind, asked);
        }
    }

    // What a pointer leads to.
    private uint Structure(char kind, System.Text.StringBuilder asked)
    {
        uint start = Take(kind == 't' ? 8 * 32u : 64);
        switch (kind)
        {
            case 't':
                for (uint i = 0; i < 4; i++)
                {
                    WriteHypercall(start + (i * 32), 0);
                }

                break;
            case 'm':
                for (uint i = 0; i < 4; i++)
                {
                    Put(start + (i * 16), _values.EntryAddress());
                    Put(start + (i * 16) + 8, _values.Entry());
                }

                break;
            case 'x':
                for (uint i = 0; i < 4; i++)
                {
                    uint command = (uint)_input.Below(20);
                    asked.Append(i == 0 ? $".{command}" : "");
                    _attacker.Word(start + (i * 12)) = command;
                    _attacker.Word(start + (i * 12) + 4) = _input.OneIn(3) ? _values.Linear() : _input.OneIn(2) ? _values.Table() : _values.Frame();
                    _attacker.Word(start + (i * 12) + 8) = _values.Any();
                }

                break;
            case 'f':
                for (uint i = 0; i < 4; i++)
                {
                    _attacker.Word(start + (i * 4)) = _values.Frame();
                }

                break;
            default:
                for (uint i = 0; i < 9; i++)
                {
                    _attacker.Word(start + (i * 4)) = _values.Any();
                }

                break;
        }

        return start;
    }

    private void Put(uint at, ulong value) => (_attacker.Word(at), _attacker.Word(at + 4)) = ((uint)value, (uint)(value >> 32));

    private uint Take(uint bytes)
    {
        if (_free + bytes > Attacker.ArgumentsEnd)
        {
            _free = Attacker.Arguments;
        }

        uint at = _free;
        _free += bytes;
        return at;
    }
}
