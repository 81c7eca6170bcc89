namespace Dbt.Devices.Console;

/// <summary>
/// Follows a guest's output and tells whether it looks as if the guest asked for a line: the last line's visible text ends with a
/// prompt's usual character and a space, as in <c>grub&gt; </c>, <c># </c> or <c>login: </c>. Control sequences don't count as text.
/// </summary>
internal sealed class PromptWatch
{
    private const byte EscapeByte = 0x1B, Bell = 0x07;
    private State _state;
    private byte _last;
    private byte _beforeLast;
    private int _parameter;

    private enum State
    {
        Text,
        Escape,
        Sequence,
        Intermediate,
        String,
        StringEscape,
    }

    /// <summary>Whether the output ends with what looks like a prompt.</summary>
    public bool IsAtPrompt => _last == (byte)' ' && ">$#%:?]"u8.Contains(_beforeLast);

    /// <summary>
    /// Whether a line editor has spoken: it asked the terminal where the cursor is (CSI 6 n, as busybox does), or for pasted text in brackets
    /// (CSI ? 2004 h, as readline does). Unlike a prompt's text this can still be told when a message of the kernel follows.
    /// </summary>
    public bool SawLineEditor { get; private set; }

    /// <summary>Forgets the text so far: what comes next is the answer to a line.</summary>
    public void Reset() => _last = _beforeLast = 0;

    /// <summary>Follows output.</summary>
    public void Add(ReadOnlySpan<byte> output)
    {
        foreach (byte value in output)
        {
            switch (_state)
            {
                case State.Escape:
                    _state = AfterEscape(value);
                    _parameter = 0;
                    break;
                case State.Sequence:
                    Sequence(value);
                    break;
                case State.Intermediate:
                    _state = value is >= 0x20 and <= 0x2F ? State.Intermediate : State.Text;
                    break;
                case State.String:
                    _state = value == Bell ? State.Text : value == EscapeByte ? State.StringEscape : State.String;
                    break;
                case State.StringEscape:
                    _state = value == (byte)'\\' ? State.Text : State.String;
                    break;
                default:
                    Text(value);
                    break;
            }
        }
    }

    // ECMA-48: a control sequence, a character set's choice, a string such as a window's title; all else is one character.
    private static State AfterEscape(byte value) => value switch
    {
        (byte)'[' => State.Sequence,
        >= 0x20 and <= 0x2F => State.Intermediate,
        (byte)']' or (byte)'P' or (byte)'X' or (byte)'^' or (byte)'_' => State.String,
        _ => State.Text,
    };

    private void Sequence(byte value)
    {
        if (value is >= (byte)'0' and <= (byte)'9')
        {
            _parameter = Math.Min((_parameter * 10) + value - '0', ushort.MaxValue);
        }
        else if (value is >= 0x40 and <= 0x7E)
        {
            SawLineEditor |= (value, _parameter) is ((byte)'n', 6) or ((byte)'h', 2004);
            _state = State.Text;
        }
    }

    private void Text(byte value)
    {
        if (value == EscapeByte)
        {
            _state = State.Escape;
        }
        else if (value is (byte)'\n' or (byte)'\r')
        {
            Reset();
        }
        else if (value >= 0x20)
        {
            (_beforeLast, _last) = (_last, value);
        }
    }
}
