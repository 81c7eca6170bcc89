using System.Text;
using Dbt.Runtime;

namespace Dbt.Xen.Hypercalls;

/// <summary>Puts a guest's console_io text together to lines of the log; control characters other than line ends are dropped.</summary>
internal sealed class ConsoleLine
{
    private const int Longest = 256;

    private readonly Lock _lock = new();
    private readonly StringBuilder _line = new();

    /// <summary>Adds text.</summary>
    public void Add(ReadOnlySpan<byte> text, GuestLog log)
    {
        lock (_lock)
        {
            foreach (byte b in text)
            {
                if (b is >= 0x20 and < 0x7F or (byte)'\t')
                {
                    _line.Append((char)b);
                }

                if (b == '\n' || _line.Length == Longest)
                {
                    log.Add(_line.ToString());
                    _line.Clear();
                }
            }
        }
    }

    /// <summary>Last words that have no end of line go to the log too.</summary>
    public void Flush(GuestLog log)
    {
        lock (_lock)
        {
            if (_line.Length > 0)
            {
                log.Add(_line.ToString());
                _line.Clear();
            }
        }
    }
}
