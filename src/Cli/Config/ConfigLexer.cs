using System.Globalization;
using System.Text;

namespace Dbt.Cli.Config;

/// <summary>Kinds of words in an xl.cfg file.</summary>
internal enum TokenKind
{
    Identifier,
    String,
    Number,
    Equals,
    PlusEquals,
    OpenBracket,
    CloseBracket,
    Comma,

    /// <summary>A newline or a semicolon.</summary>
    EndOfStatement,
    EndOfFile,
}

/// <summary>One word.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Position">Its first character.</param>
/// <param name="Text">An identifier, a string's contents, or a number as written.</param>
/// <param name="Number">A number's value.</param>
internal readonly record struct Token(TokenKind Kind, ConfigPosition Position, string Text = "", long Number = 0);

/// <summary>
/// Splits an xl.cfg text into words. Within brackets newlines don't count. A comment goes from # to the end of the line.
/// </summary>
internal sealed class ConfigLexer(string file, string text)
{
    private int _at, _line = 1, _lineStart, _depth;

    /// <summary>The next word.</summary>
    /// <exception cref="ConfigException">No word begins here.</exception>
    public Token Next()
    {
        SkipBlanks();
        ConfigPosition position = Position;
        if (_at >= text.Length)
        {
            return new Token(TokenKind.EndOfFile, position);
        }

        char c = text[_at];
        switch (c)
        {
            case '\n':
                NewLine();
                return new Token(TokenKind.EndOfStatement, position);
            case ';':
                return Single(TokenKind.EndOfStatement);
            case '=':
                return Single(TokenKind.Equals);
            case ',':
                return Single(TokenKind.Comma);
            case '[':
                _depth++;
                return Single(TokenKind.OpenBracket);
            case ']':
                _depth = Math.Max(0, _depth - 1);
                return Single(TokenKind.CloseBracket);
            case '+' when _at + 1 < text.Length && text[_at + 1] == '=':
                _at += 2;
                return new Token(TokenKind.PlusEquals, position);
            case '"' or '\'':
                return new Token(TokenKind.String, position, QuotedString(c, position));
            default:
                return char.IsAsciiDigit(c) || (c == '-' && _at + 1 < text.Length && char.IsAsciiDigit(text[_at + 1])) ? NumberToken(position)
                    : char.IsAsciiLetter(c) || c == '_' ? new Token(TokenKind.Identifier, position, Word())
                    : throw new ConfigException(position, $"unexpected character '{(char.IsControl(c) ? $"\\x{(int)c:x2}" : c)}'");
        }

        Token Single(TokenKind kind)
        {
            _at++;
            return new Token(kind, position);
        }
    }

    private ConfigPosition Position => new(file, _line, _at - _lineStart + 1);

    private void NewLine()
    {
        _at++;
        _line++;
        _lineStart = _at;
    }

    private void SkipBlanks()
    {
        for (; _at < text.Length; _at++)
        {
            char c = text[_at];
            if (c == '#')
            {
                int end = text.IndexOf('\n', _at);
                _at = (end < 0 ? text.Length : end) - 1;
            }
            else if (c == '\n' && _depth > 0)
            {
                NewLine();
                _at--;
            }
            else if (c is not (' ' or '\t' or '\r' or '\uFEFF'))
            {
                return;
            }
        }
    }

    private string Word()
    {
        int start = _at;
        while (_at < text.Length && (char.IsAsciiLetterOrDigit(text[_at]) || text[_at] is '_' or '-' or '.'))
        {
            _at++;
        }

        return text[start.._at];
    }

    /// <summary>Decimal, hexadecimal with 0x, octal with 0.</summary>
    private Token NumberToken(ConfigPosition position)
    {
        bool negative = text[_at] == '-';
        _at += negative ? 1 : 0;
        string word = Word();
        bool valid = word.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? long.TryParse(word.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out long value) && value >= 0
            : word.Length > 1 && word[0] == '0' ? TryParseOctal(word, out value)
            : long.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out value);
        return valid
            ? new Token(TokenKind.Number, position, word, negative ? -value : value)
            : throw new ConfigException(position, $"'{word}' is not a number; a string needs quotes");
    }

    private static bool TryParseOctal(string word, out long value)
    {
        value = 0;
        foreach (char c in word)
        {
            if (c is < '0' or > '7' || value >> 59 != 0)
            {
                return false;
            }

            value = (value << 3) | (long)(c - '0');
        }

        return true;
    }

    private string QuotedString(char quote, ConfigPosition position)
    {
        var result = new StringBuilder();
        _at++;
        while (_at < text.Length && text[_at] != '\n')
        {
            char c = text[_at];
            if (c == quote)
            {
                _at++;
                return result.ToString();
            }

            if (c == '\\')
            {
                AppendEscape(result);
            }
            else
            {
                result.Append(c);
                _at++;
            }
        }

        throw new ConfigException(position, $"the string has no closing {quote}");
    }

    /// <summary>Escapes as C has them.</summary>
    private void AppendEscape(StringBuilder result)
    {
        const string letters = "abfnrtv\\\"'", meanings = "\a\b\f\n\r\t\v\\\"'";
        ConfigPosition position = Position;
        char c = _at + 1 < text.Length ? text[_at + 1] : '\n';
        int index = letters.IndexOf(c, StringComparison.Ordinal);
        if (index >= 0)
        {
            result.Append(meanings[index]);
            _at += 2;
        }
        else if (c == 'x' && _at + 3 < text.Length && int.TryParse(text.AsSpan(_at + 2, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int code))
        {
            result.Append((char)code);
            _at += 4;
        }
        else if (c is >= '0' and <= '7')
        {
            int value = 0, digits = 0;
            for (_at++; digits < 3 && _at < text.Length && text[_at] is >= '0' and <= '7'; _at++, digits++)
            {
                value = (value * 8) + (text[_at] - '0');
            }

            result.Append((char)(value & 0xFF));
        }
        else
        {
            throw new ConfigException(position, $"unknown escape \\{(c == '\n' ? "" : c)} in a string");
        }
    }
}
