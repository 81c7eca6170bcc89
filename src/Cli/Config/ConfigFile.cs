using System.Globalization;

namespace Dbt.Cli.Config;

/// <summary>The settings of an xl.cfg file: keys and values, in the order they were first set.</summary>
internal sealed class ConfigFile
{
    private readonly Dictionary<string, ConfigValue> _values = new(StringComparer.Ordinal);
    private readonly List<string> _order = [];

    /// <summary>Keys, in the order they were first set.</summary>
    public IReadOnlyList<string> Keys => _order;

    /// <summary>A key's value; null where it isn't set.</summary>
    public ConfigValue? this[string key] => _values.GetValueOrDefault(key);

    /// <summary>Parses a whole file. A later setting of a key replaces an earlier one, += adds to it.</summary>
    /// <param name="name">What errors call it.</param>
    /// <param name="text">Its contents.</param>
    /// <exception cref="ConfigException">A syntax error, with line and column.</exception>
    public static ConfigFile Parse(string name, string text)
    {
        var file = new ConfigFile();
        new ConfigParser(new ConfigLexer(name, text)).ParseInto(file);
        return file;
    }

    /// <summary>
    /// Applies key=value from the command line. A value that is neither quoted nor a list nor a number is a string, since the shell
    /// has taken the quotes away.
    /// </summary>
    /// <exception cref="ConfigException">No key=value.</exception>
    public void Override(string setting)
    {
        const string commandLine = "command line";
        int equals = setting.IndexOf('=', StringComparison.Ordinal);
        string key = equals < 0 ? "" : setting[..equals].TrimEnd('+', ' ');
        if (key.Length == 0 || !key.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
        {
            throw new ConfigException($"{commandLine}: '{setting}' is not key=value");
        }

        string value = setting[(equals + 1)..], word = value.Trim();
        bool structured = word.Length > 0 && (word[0] is '[' or '"' or '\'');
        bool number = word.Length > 0 && char.IsAsciiDigit(word[0]) && word.All(char.IsAsciiLetterOrDigit);
        if (structured || number)
        {
            try
            {
                new ConfigParser(new ConfigLexer(commandLine, setting)).ParseInto(this);
                return;
            }
            catch (ConfigException) when (number)
            {
                // "4k-image": a word that only begins like a number
            }
        }

        Set(key, new ConfigString(new ConfigPosition(commandLine, 1, equals + 2), value), append: equals > 0 && setting[equals - 1] == '+');
    }

    /// <summary>All settings as a text that <see cref="Parse"/> reads, comments and places gone.</summary>
    public string ToText() => string.Concat(_order.Select(key => $"{key} = {ToText(_values[key])}\n"));

    /// <summary>Sets a key or, with <paramref name="append"/>, adds to its string or list.</summary>
    public void Set(string key, ConfigValue value, bool append)
    {
        ConfigValue? old = _values.GetValueOrDefault(key);
        if (old is null)
        {
            _order.Add(key);
        }

        _values[key] = (append, old, value) switch
        {
            (true, ConfigString first, ConfigString second) => first with { Text = first.Text + second.Text },
            (true, ConfigList first, ConfigList second) => first with { Items = [.. first.Items, .. second.Items] },
            (true, not null, _) => throw new ConfigException(value.Position, $"+= of {key} needs two strings or two lists"),
            _ => value,
        };
    }

    private static string ToText(ConfigValue value) => value switch
    {
        ConfigString text => Quote(text.Text),
        ConfigNumber number => number.Value.ToString(CultureInfo.InvariantCulture),
        ConfigList list => $"[ {string.Join(", ", list.Items.Select(ToText))} ]",
        _ => throw new System.Diagnostics.UnreachableException($"a value of {value.GetType()}"),
    };

    private static string Quote(string text) =>
        $"\"{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}\"";
}
